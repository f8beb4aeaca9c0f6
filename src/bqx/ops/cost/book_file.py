"""Write a price book as the TOML that `read_book` reads."""

from __future__ import annotations

import json
from pathlib import Path

from bqx.base.atomic import write_text
from bqx.ops.cost.pricebook import PriceBook


def book_text(book: PriceBook) -> str:
    """Equal books give equal text."""
    words = {"name": book.name, "currency": book.currency, "region": book.region, "note": book.note}
    out = ["# Written by `bqx cost prices import`.", "format = 1", *(f"{k} = {_text(v)}" for k, v in words.items())]
    for key in sorted(book.prices):
        p = book.prices[key]
        out += ["", f"[price.{_text(key)}]", f"service = {_text(p.service)}"]
        out += [f"usage = [{', '.join(map(_text, p.usage))}]", f"offer_unit = {_text(p.offer_unit)}"]
        out += [f"scale = {p.scale:f}", f"sku = {_text(p.sku)}"]
        out += [f"{k} = {getattr(p.given, k):f}" for k in ("low", "mode", "high")]
        out += [f"unit = {_text(p.unit)}", f"source = {_text(p.given.source)}", f"date = {p.given.dated.isoformat()}"]
    return "\n".join(out) + "\n"


def write_book(book: PriceBook, path: Path) -> None:
    """Replace `path`, wholly or not at all."""
    write_text(path, book_text(book))


def _text(value: str) -> str:
    """A TOML basic string; JSON's escapes are TOML's, but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")

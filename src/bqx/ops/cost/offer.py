"""Read unit prices from a provider's offer file: the bulk price list of one service, as JSON.

The form is `products` by SKU with their attributes, and `terms.OnDemand` by SKU with offers and price dimensions. Only
products whose usage type a price of the book names are kept, so that memory stays small however large the file is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from fnmatch import translate
from pathlib import Path
from typing import Any

from bqx.base.errors import PriceListError
from bqx.ops.cost.given import Given
from bqx.ops.cost.json_stream import JsonStream
from bqx.ops.cost.pricebook import Price, PriceBook, bare

MOST_BYTES = 8 << 30
MOST_PRODUCTS = 10_000_000
MOST_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Offer:
    """Head of an offer file. published : day of publication."""

    service: str
    version: str
    published: date


@dataclass(frozen=True, slots=True)
class Imported:
    """book : with the new prices in place of the old. changed : key -> old and new. left : key -> why a price of this
    service was left as it was."""

    offer: Offer
    book: PriceBook
    changed: Mapping[str, tuple[Decimal, Decimal]]
    left: Mapping[str, str]


def import_offer(path: Path, book: PriceBook, region: str | None = None) -> Imported:
    """Prices of `path` for the keys of `book` of its service and region; PriceListError for a file that is none.

    A key that two products of different price fit, or one of another unit, is left as it was and told; a free first
    tier is passed over.
    """
    region = region or book.region
    head, products = _products(path, book, region)
    wanted = {key: p for key, p in book.prices.items() if p.service == head.service}
    if not wanted:
        raise PriceListError(f"no price of the book is of {head.service}", where=path.name,
                             fix="give the list of a service that `bqx cost prices list` names")  # fmt: skip
    terms = _terms(path, {sku for found in products.values() for sku in found})
    prices, changed, left = dict(book.prices), {}, {}
    for key, price in wanted.items():
        offers = {sku: terms[sku] for sku in products.get(key, {}) if sku in terms}
        if reason := _unfit(price, offers):
            left[key] = reason
            continue
        sku = min(offers)
        prices[key] = _replaced(price, sku, *offers[sku], head)
        changed[key] = (price.given.mode, prices[key].given.mode)
    if not changed:
        raise PriceListError(f"no price can be taken for {region}: {left}", where=path.name,
                             fix="give the list of that region, or --region")  # fmt: skip
    new = replace(book, prices=prices, note=_note(head, changed, book))
    return Imported(head, new, changed, left)


def _unfit(price: Price, offers: Mapping[str, tuple[Decimal, str, date]]) -> str:
    """Why none of the offers can be this price, else nothing."""
    if not offers:
        return "not in the list"
    if len({(amount, unit) for amount, unit, _ in offers.values()}) > 1:
        return f"several prices fit: SKUs {', '.join(sorted(offers)[:5])}"
    unit = next(iter(offers.values()))[1]
    if price.offer_unit and unit.lower() != price.offer_unit.lower():
        return f"a price a {unit[:40]} there, a {price.offer_unit} in the book"
    return ""


def _replaced(price: Price, sku: str, amount: Decimal, unit: str, since: date, head: Offer) -> Price:
    mine = amount * price.scale
    source = f"price list of {head.service}, version {head.version}, published {head.published}, valid since {since}"
    return replace(price, sku=sku, given=Given(price.key, mine, mine, mine, price.unit, source, head.published))


def _note(head: Offer, changed: Mapping[str, Any], book: PriceBook) -> str:
    old = len([k for k in book.prices if k not in changed and not book.prices[k].sku])
    left = f"; {old} prices are still those of the reference: {book.note}" if old else ""
    return f"{head.service} as published {head.published}{left}"[:2000]


def _products(path: Path, book: PriceBook, region: str) -> tuple[Offer, dict[str, dict[str, None]]]:
    """The head, and SKUs by key of the book. The head may come after the products, so products are kept by service."""
    head: dict[str, str] = {}
    kept: list[tuple[str, str]] = []
    named = re.compile("|".join(translate(u) for p in book.prices.values() for u in p.usage))
    seen = 0
    with _opened(path) as stream:
        for key in stream.members():
            if key in ("offerCode", "version", "publicationDate", "formatVersion"):
                head[key] = str(stream.value())
            elif key == "products":
                for sku in stream.members():
                    seen += 1
                    if usage := _usage(stream.value(), region, named):
                        kept.append((sku, usage))
                    if seen > MOST_PRODUCTS or len(kept) > MOST_KEPT:
                        raise PriceListError(f"more than {MOST_KEPT:,} products fit", where=path.name)
            else:
                stream.skip()
    if not {"offerCode", "publicationDate"} <= set(head) or not seen:
        raise PriceListError("no offer file: offerCode, publicationDate or products are absent", where=path.name)
    offer = Offer(head["offerCode"][:100], head.get("version", "?")[:100], _day(head["publicationDate"], path))
    out: dict[str, dict[str, None]] = {}
    for sku, usage in kept:
        for price in book.prices.values():
            if price.matches(offer.service, usage):
                out.setdefault(price.key, {})[sku] = None
    return offer, out


def _usage(product: Any, region: str, named: re.Pattern[str]) -> str | None:
    """The usage type of a product of that region which some price of the book names, whatever the service."""
    attributes = product.get("attributes") if isinstance(product, Mapping) else None
    if not isinstance(attributes, Mapping) or attributes.get("regionCode", region) != region:
        return None
    usage = attributes.get("usagetype")
    return usage if isinstance(usage, str) and named.match(bare(usage)) else None


def _terms(path: Path, skus: set[str]) -> dict[str, tuple[Decimal, str, date]]:
    """Price, unit and first day of the offer on demand, by SKU."""
    out: dict[str, tuple[Decimal, str, date]] = {}
    with _opened(path) as stream:
        for key in stream.members():
            if key != "terms":
                stream.skip()
                continue
            for kind in stream.members():
                if kind != "OnDemand":
                    stream.skip()
                    continue
                for sku in stream.members():
                    if sku not in skus:
                        stream.skip()
                    elif found := _dimension(stream.value(), sku, path):
                        out[sku] = found
    return out


def _dimension(offers: Any, sku: str, path: Path) -> tuple[Decimal, str, date] | None:
    """Of the newest offer, the first tier that is not free; None when all are."""
    where = f"{path.name}, SKU {sku}"
    if not isinstance(offers, Mapping) or not offers:
        raise PriceListError("its offers are no object", where=where)
    try:
        newest = max(offers.values(), key=lambda o: str(o["effectiveDate"]))
        tiers = [
            (Decimal(str(d["beginRange"])), Decimal(str(d["pricePerUnit"]["USD"])), str(d["unit"]))
            for d in newest["priceDimensions"].values()
        ]
        since = _day(str(newest["effectiveDate"]), path)
    except (KeyError, TypeError, AttributeError, InvalidOperation) as error:
        raise PriceListError(f"an offer lacks what a price needs: {error!r}", where=where) from error
    if any(not p.is_finite() or p < 0 or p > 1_000_000 for _, p, _ in tiers):
        raise PriceListError("a price is negative, not finite or above a million", where=where)
    paid = sorted(t for t in tiers if t[1] > 0)
    return (paid[0][1], paid[0][2], since) if paid else None


def _day(text: str, path: Path) -> date:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).date()
    except ValueError as error:
        raise PriceListError(f"{text[:40]!r} is no date", where=path.name) from error


def _opened(path: Path) -> JsonStream:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise PriceListError(f"more than {MOST_BYTES:,} bytes", where=path.name)
        return JsonStream(path)
    except OSError as error:
        raise PriceListError(f"it cannot be read: {error}", where=str(path)) from error

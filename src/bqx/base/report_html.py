"""Reports as one HTML page that loads nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from bqx.base.errors import CheckError
from bqx.base.provenance import Number
from bqx.base.redaction import redact
from bqx.base.report import (
    Badge,
    Block,
    Cell,
    Figure,
    Heading,
    KeyValues,
    Note,
    Report,
    Table,
    Text,
    cell_text,
    column_digits,
    is_numeric,
)
from bqx.base.report_text import numeric_columns, refuse_leaks

_FOLDER = Path(__file__).parent / "templates"
_OUTSIDE = re.compile(r"(?:href|src)\s*=\s*[\"'](?!#|data:image/)|url\(\s*[\"']?(?!#|data:)|@import", re.I)
_ACTIVE = re.compile(r"<\s*(?:script|foreignObject|iframe|object|embed)\b|\son\w+\s*=|javascript:", re.I)


def to_html(report: Report) -> str:
    """HTML of `report`; SecretLeak or CheckError rather than a page that leaks or loads something."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    blocks = [_view(block, number) for number, block in enumerate(report.blocks)]
    page = environment.get_template("report.html.j2").render(
        title=redact(report.title),
        subtitle=redact(report.subtitle),
        banner=redact(report.banner) if report.banner else None,
        run_id=report.run_id,
        made_at=f"{report.made_at:%Y-%m-%d %H:%M} UTC",
        blocks=blocks,
        contents=[b for b in blocks if b["kind"] == "heading" and b["level"] == 2],
    )
    return refuse_leaks(page, report.title)


def safe_svg(svg: str, prefix: str) -> str:
    """An SVG fit for inlining: no prolog or metadata, no scripts, no outside links, ids made unique."""
    svg = re.sub(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL).strip()
    if not svg.startswith("<svg"):
        raise CheckError("a figure is not an SVG drawing", where=prefix)
    for rule, what in ((_ACTIVE, "contains active content"), (_OUTSIDE, "links to something outside the page")):
        hit = rule.search(svg)
        if hit:
            raise CheckError(f"a figure {what}: {hit.group()!r}", where=prefix, fix="draw it without")
    svg = re.sub(r"(\bid\s*=\s*[\"'])", rf"\g<1>{prefix}-", svg)
    svg = re.sub(r"(href\s*=\s*[\"']#)", rf"\g<1>{prefix}-", svg)
    return re.sub(r"(url\(\s*[\"']?#)", rf"\g<1>{prefix}-", svg)


def _view(block: Block, number: int) -> dict[str, Any]:
    match block:
        case Heading(text, level):
            return {"kind": "heading", "level": level, "text": redact(text), "id": f"part-{number}"}
        case Text(text):
            return {"kind": "text", "pieces": _pieces(text)}
        case Note(text, tone):
            return {"kind": "note", "pieces": _pieces(text), "tone": tone}
        case Figure(svg, caption, alt, paper):
            drawing = safe_svg(redact(svg), f"fig{number}")
            words = {"caption": redact(caption), "alt": redact(alt)}
            return {"kind": "figure", "svg": drawing, "paper": paper, **words}
        case KeyValues(items):
            return {"kind": "values", "items": [(redact(key), _cell(cell)) for key, cell in items]}
        case Table(columns, rows, caption):
            head = [{"text": redact(c), "right": r} for c, r in zip(columns, numeric_columns(block), strict=True)]
            digits = [column_digits(block, i) for i in range(len(columns))]
            body = [[_cell(c, d) for c, d in zip(row, digits, strict=True)] for row in rows]
            return {"kind": "table", "head": head, "rows": body, "caption": redact(caption)}


def _pieces(text: str) -> list[tuple[str, str]]:
    """Alternating prose and code."""
    parts = redact(text).split("`")
    return [("code" if i % 2 else "prose", part) for i, part in enumerate(parts) if part]


def _cell(cell: Cell, digits: int | None = None) -> dict[str, Any]:
    missing = isinstance(cell, Number) and not cell.known
    return {
        "text": redact(cell_text(cell, digits)),
        "title": redact(str(cell.source)) if isinstance(cell, Number) else "",
        "right": is_numeric(cell),
        "missing": missing,
        "tone": cell.tone if isinstance(cell, Badge) else "",
        "negative": is_numeric(cell) and cell_text(cell).startswith("-"),
    }

"""Reports as Markdown and as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bqx.base.errors import SecretLeak
from bqx.base.provenance import Number
from bqx.base.redaction import leaks, redact, scrub
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
    column_digits,
    is_numeric,
)
from bqx.base.report import cell_text as text_of

FORMAT = 1


def to_markdown(report: Report) -> str:
    """Markdown of `report`; SecretLeak if anything secret-like is left after redaction."""
    parts = [f"# {report.title}"]
    if report.banner:
        parts.append(f"> **{report.banner}**")
    if report.subtitle:
        parts.append(report.subtitle)
    parts += [_markdown(block) for block in report.blocks]
    parts.append(f"---\nRun `{report.run_id}`, made {report.made_at:%Y-%m-%d %H:%M} UTC.")
    return refuse_leaks(redact("\n\n".join(parts) + "\n"), report.title)


def to_dict(report: Report) -> dict[str, Any]:
    """JSON form of `report`, redacted by key and by pattern."""
    data: dict[str, Any] = scrub(
        {
            "format": FORMAT,
            "title": report.title,
            "subtitle": report.subtitle,
            "banner": report.banner,
            "run_id": report.run_id,
            "made_at": report.made_at.isoformat(),
            "blocks": [_json(block) for block in report.blocks],
        }
    )
    return data


def refuse_leaks(text: str, title: str) -> str:
    """`text` unchanged, or SecretLeak: a report fails closed."""
    found = leaks(text)
    if found:
        raise SecretLeak(
            f"the report still shows a secret after redaction ({', '.join(found)}); it was not written", where=title
        )
    return text


def _markdown(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {text}"
        case Text(text):
            return text
        case Note(text, tone):
            return f"> **{'Note' if tone == 'plain' else tone.capitalize()}:** {text}"
        case Figure(_, caption, alt):
            return f"*Figure: {caption}* ({alt})"
        case KeyValues(items):
            return "\n".join(f"- {key}: **{_escaped(cell)}**" for key, cell in items)
        case Table():
            return _markdown_table(block)


def _markdown_table(table: Table) -> str:
    right = numeric_columns(table)
    digits = [column_digits(table, i) for i in range(len(table.columns))]
    lines = [
        "| " + " | ".join(c.replace("|", "\\|") for c in table.columns) + " |",
        "|" + "|".join("---:" if r else "---" for r in right) + "|",
    ]
    lines += ["| " + " | ".join(_escaped(c, d) for c, d in zip(row, digits, strict=True)) + " |" for row in table.rows]
    return (f"**{table.caption}**\n\n" if table.caption else "") + "\n".join(lines)


def numeric_columns(table: Table) -> list[bool]:
    """Which columns hold numbers (empty text aside)."""
    filled = [[row[i] for row in table.rows if row[i] != ""] for i in range(len(table.columns))]
    return [bool(cells) and all(is_numeric(cell) for cell in cells) for cells in filled]


def _escaped(cell: Cell, digits: int | None = None) -> str:
    return text_of(cell, digits).replace("|", "\\|").replace("\n", " ")


def _json(block: Block) -> dict[str, Any]:
    match block:
        case Heading(text, level):
            return {"kind": "heading", "level": level, "text": text}
        case Text(text):
            return {"kind": "text", "text": text}
        case Note(text, tone):
            return {"kind": "note", "tone": tone, "text": text}
        case Figure(_, caption, alt):
            return {"kind": "figure", "caption": caption, "alt": alt}
        case KeyValues(items):
            return {"kind": "values", "items": [{"label": key, "cell": _json_cell(cell)} for key, cell in items]}
        case Table(columns, rows, caption):
            cells = [[_json_cell(cell) for cell in row] for row in rows]
            return {"kind": "table", "caption": caption, "columns": list(columns), "rows": cells}


def _json_cell(cell: Cell) -> Any:
    if isinstance(cell, Number):
        return cell.as_dict()
    if isinstance(cell, Badge):
        return cell.text
    return cell.isoformat() if isinstance(cell, datetime) else cell

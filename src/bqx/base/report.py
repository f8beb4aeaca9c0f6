"""Reports: a small document model, written as Markdown, one self-contained HTML page and JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NoReturn

from bqx.base.errors import CheckError
from bqx.base.provenance import Number, plain_number
from bqx.base.runlog import current_run

Tone = Literal["plain", "good", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Badge:
    """A word in a coloured pill, such as a verdict."""

    text: str
    tone: Tone = "plain"


Cell = Number | Badge | str | int | float | bool | datetime


@dataclass(frozen=True, slots=True)
class Heading:
    """Level 2 opens a section of the table of contents, level 3 a part of one."""

    text: str
    level: Literal[2, 3] = 2


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph. `` `code` `` is shown as code; nothing else is interpreted."""

    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """A paragraph that must be seen."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells; columns that hold only numbers are set right. Every row as long as `columns`."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class KeyValues:
    """A few headline figures or facts."""

    items: Sequence[tuple[str, Cell]]


@dataclass(frozen=True, slots=True)
class Figure:
    """An inline SVG; `alt` says what it shows to those who cannot see it.

    `paper` puts it on white in dark mode too; set it False for drawings in ``currentColor``.
    """

    svg: str
    caption: str
    alt: str
    paper: bool = True


Block = Heading | Text | Note | Table | KeyValues | Figure


@dataclass
class Report:
    """A document about one run. `banner` is shown on top of every form, such as "SIMULATED DATA"."""

    title: str
    subtitle: str = ""
    banner: str | None = None
    blocks: list[Block] = field(default_factory=list)
    run_id: str = field(default_factory=lambda: current_run().run_id)
    made_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def add(self, *blocks: Block) -> Report:
        """Append blocks; CheckError for a NaN without a reason or a ragged table."""
        for block in blocks:
            _check(block)
            self.blocks.append(block)
        return self

    def require_sum(self, what: str, parts: Sequence[float], total: float, *, tolerance: float = 0.0) -> None:
        """Refuse to publish (CheckError) unless `parts` add up to `total` within `tolerance`."""
        found = math.fsum(parts)
        if not abs(found - total) <= tolerance:
            raise CheckError(
                f"{what}: the {len(parts)} parts add up to {found:,}, the total says {total:,}",
                where=self.title,
                fix="the report is not written; the figures behind it disagree",
            )

    def markdown(self) -> str:
        """Redacted Markdown; figures are named, not drawn."""
        from bqx.base.report_text import to_markdown

        return to_markdown(self)

    def html(self) -> str:
        """One redacted page that loads nothing from anywhere."""
        from bqx.base.report_html import to_html

        return to_html(self)

    def as_dict(self) -> dict[str, Any]:
        """Redacted JSON form, format version 1; numbers keep unit and source, figures only their words."""
        from bqx.base.report_text import to_dict

        return to_dict(self)

    def write(self, folder: Path, stem: str = "report") -> list[Path]:
        """Write ``stem.html``, ``stem.md`` and ``stem.json`` into `folder`; all are rendered before any is."""
        import json

        from bqx.base.atomic import write_text

        forms = {
            "html": self.html(),
            "md": self.markdown(),
            "json": json.dumps(self.as_dict(), indent=2, allow_nan=False) + "\n",
        }
        paths = []
        for suffix, text in forms.items():
            paths.append(Path(folder) / f"{stem}.{suffix}")
            write_text(paths[-1], text)
        return paths


def cell_text(cell: Cell, digits: int | None = None) -> str:
    """A cell for people, numbers with `digits` after the point unless they set their own."""
    if isinstance(cell, Number):
        return cell.text(digits)
    if isinstance(cell, Badge):
        return cell.text
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int | float):
        return plain_number(cell, digits)
    if isinstance(cell, datetime):
        return cell.strftime("%Y-%m-%d %H:%M")
    return cell


def is_numeric(cell: Cell) -> bool:
    """Whether a cell is set right."""
    return isinstance(cell, Number | int | float) and not isinstance(cell, bool)


def column_digits(table: Table, column: int) -> int | None:
    """Digits after the point that suit a whole column: 4 significant ones for its largest value."""
    values = []
    for row in table.rows:
        cell = row[column]
        value = cell.value if isinstance(cell, Number) and cell.digits is None else cell
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            values.append(abs(value))
    largest = max(values, default=0.0)
    if all(v == int(v) for v in values) or not 1e-4 <= largest < 1e6:
        return None
    return max(0, 3 - math.floor(math.log10(largest)))


def _check(block: Block) -> None:
    if isinstance(block, Table):
        for number, row in enumerate(block.rows, start=1):
            if len(row) != len(block.columns):
                raise CheckError(
                    f"row {number} has {len(row)} cells, the table has {len(block.columns)} columns",
                    where=f"table {block.caption or block.columns[0]!r}",
                )
            for column, cell in zip(block.columns, row, strict=True):
                _check_cell(cell, f"table {block.caption!r}, row {number}, column {column!r}")
    elif isinstance(block, KeyValues):
        for key, cell in block.items:
            _check_cell(cell, f"value {key!r}")


def _check_cell(cell: object, where: str) -> None:
    if isinstance(cell, float) and not math.isfinite(cell):
        _refuse(f"{cell} without a reason", where)
    if not isinstance(cell, Number | Badge | str | int | float | datetime):
        _refuse(f"a {type(cell).__name__} ({cell!r}) is no cell", where)


def _refuse(what: str, where: str) -> NoReturn:
    raise CheckError(what, where=where, fix="pass a Number with reason=, or text")

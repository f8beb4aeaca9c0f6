"""The export tracker: a CSV file for spreadsheets and a Markdown table for people."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from bqx.base.atomic import write_text
from bqx.ops.tracker.filetracker import FileTracker, Row
from bqx.ops.tracker.outbox import Value

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")


class ExportTracker(FileTracker):
    """``records.csv``, which is read back, and ``records.md``, which is not. Every value is text there.

    Text that a spreadsheet would take for a formula gets a leading apostrophe, which reading takes off again.
    """

    name = "export"

    def shown(self, code: str, fields: Mapping[str, Value]) -> dict[str, Value]:
        return {name: _text(value) for name, value in fields.items()}

    def _load(self) -> list[Row]:
        path = self.folder / "records.csv"
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        except (ValueError, OSError) as error:
            raise self._broken(path, type(error).__name__) from None
        lines = list(csv.reader(io.StringIO(text, newline="")))
        if not lines or lines[0][:1] != ["code"]:
            raise self._broken(path, "its first column must be code")
        if any(len(line) != len(lines[0]) for line in lines):
            raise self._broken(path, "a line has more or fewer cells than the first")
        return [dict(zip(lines[0], map(_plain, line), strict=True)) for line in lines[1:]]

    def _save(self, rows: Sequence[Row]) -> None:
        names = ["code", *sorted({n for row in rows for n in row if n != "code"})]
        table = [[_text(row.get(n)) or "" for n in names] for row in sorted(rows, key=lambda r: str(r.get("code")))]
        out = io.StringIO(newline="")
        csv.writer(out, lineterminator="\n").writerows([names, *([_safe(cell) for cell in line] for line in table)])
        write_text(self.folder / "records.csv", out.getvalue())
        lines = [names, ["---"] * len(names), *table]
        body = "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)
        write_text(self.folder / "records.md", f"# Tracker\n\n{body}\n")


def _text(value: Value) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int) else f"{value:.12g}"


def _safe(cell: str) -> str:
    number = cell.lstrip("-").replace(".", "", 1).isdigit()
    return f"'{cell}" if cell.startswith(_FORMULA) and not number else cell


def _plain(cell: str) -> str:
    return cell[1:] if cell.startswith("'") else cell


def _cell(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("\r", " ").replace("\n", "<br>")

"""Text to a typed frame at full speed, and a slow second look that finds the line when something is wrong."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Protocol

import numpy as np
import polars as pl

from bqx.base.errors import InputError
from bqx.market.calendar import FIRST_YEAR, LAST_YEAR
from bqx.market.importers.text import Text

LEAST_PRICE, MOST_PRICE = 1e-4, 1e6


def parse_table(
    text: Text,
    separator: str,
    names: Sequence[str],
    *,
    words: Collection[str],
    header: bool,
    optional: bool = False,
    unused: Collection[str] = (),
) -> pl.DataFrame:
    """Columns `line` (1-based), then `names`: String for those in `words` and `unused`, Float64 otherwise.

    Raises InputError naming file and line for a wrong number of fields, a non-number, or (unless `optional`) an
    empty field outside `unused`.
    """
    lines = _line_numbers(text.data)[1 if header else 0 :]
    if not len(lines):
        raise InputError("file has a header but no bars", where=text.where(1))
    schema: dict[str, pl.DataType] = {n: pl.String() if n in words or n in unused else pl.Float64() for n in names}
    try:
        frame = pl.read_csv(
            text.data,
            has_header=False,
            skip_lines=int(lines[0]) - 1,
            separator=separator,
            schema=schema,
            quote_char=None,
        )
    except pl.exceptions.PolarsError as exc:
        raise _culprit(text, separator, names, words, unused, optional, header) from exc
    frame = frame.filter(~pl.all_horizontal(pl.all().is_null())) if frame.height > len(lines) else frame
    nulls = 0 if optional else sum(frame.drop(unused).null_count().row(0))
    if frame.height != len(lines) or nulls or (optional and frame.get_column(names[-1]).null_count()):
        raise _culprit(text, separator, names, words, unused, optional, header)
    return frame.insert_column(0, pl.Series("line", lines))


def _line_numbers(data: bytes) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """1-based numbers of the lines that are not empty."""
    ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == 10)
    if not data.endswith(b"\n"):
        ends = np.r_[ends, len(data)]
    length = np.diff(np.r_[-1, ends]) - 1
    return (np.flatnonzero(length > 0) + 1).astype(np.int64)


def _culprit(
    text: Text,
    separator: str,
    names: Sequence[str],
    words: Collection[str],
    unused: Collection[str],
    optional: bool,
    header: bool,
) -> InputError:
    """The error for the first line that is not as declared."""
    started = not header
    for number, raw in enumerate(text.data.split(b"\n"), start=1):
        if not raw:
            continue
        if not started:
            started = True
            continue
        fields = raw.decode("ascii").split(separator)
        if len(fields) != len(names):
            return InputError(
                f"{len(fields)} fields where {len(names)} are expected ({', '.join(names)}): {_short(raw)}",
                where=text.where(number),
                fix="was the file cut off, or is it another format? see docs/importing.md",
            )
        for name, field in zip(names, fields, strict=True):
            bad = None if name in unused else _complaint(name, field, name in words, optional)
            if bad:
                return InputError(bad, where=text.where(number), fix="correct or remove the line")
    return InputError("cannot be read as a table of bars", where=text.where(1), fix="see docs/importing.md")


def _complaint(name: str, field: str, word: bool, optional: bool) -> str | None:
    if not field:
        return None if optional else f"{name} is empty"
    if word:
        return None
    try:
        float(field)
    except ValueError:
        return f"{name} is {_short(field.encode())}, not a number"
    return None


def _short(raw: bytes) -> str:
    return repr(raw[:80].decode("ascii", "replace"))


class Places(Protocol):
    """What can say where a line stands."""

    def where(self, line: int) -> str: ...


def check_prices(text: Places, frame: pl.DataFrame, columns: Sequence[str], volume: Sequence[str] = ()) -> None:
    """Raises InputError for the first price that is not finite within [1e-4, 1e6], or volume not finite and >= 0."""
    bad = [~pl.col(c).is_between(LEAST_PRICE, MOST_PRICE) for c in columns]  # Polars orders NaN above all numbers
    bad += [~pl.col(c).is_between(0.0, 1e15) for c in volume]
    hit = frame.filter(pl.any_horizontal(bad)).head(1)
    if hit.is_empty():
        return
    row = hit.row(0, named=True)
    for name in (*columns, *volume):
        value = row[name]
        least, most = (0.0, 1e15) if name in volume else (LEAST_PRICE, MOST_PRICE)
        if value is not None and (math.isnan(value) or not least <= value <= most):
            raise InputError(
                f"{name} is {value:g}, outside [{least:g}, {most:g}]",
                where=text.where(row["line"]),
                fix="correct or remove the line",
            )


def parse_stamps(
    text: Places, frame: pl.DataFrame, words: pl.Expr, fmt: str, *, shown: pl.Expr | None = None
) -> pl.Series:
    """Naive Datetime("us") stamps; raises InputError for the first that is no time or outside the calendar's years.

    shown : what the error quotes, by default `words`.
    """
    stamp = frame.select(words.str.to_datetime(fmt, time_unit="us", strict=False).alias("stamp"))["stamp"]
    check_years(text, frame, stamp, words if shown is None else shown)
    return stamp


def check_years(text: Places, frame: pl.DataFrame, stamp: pl.Series, shown: pl.Expr) -> None:
    """Raises InputError for the first stamp that is null or outside the calendar's years."""
    bad = stamp.is_null() | ~stamp.dt.year().is_between(FIRST_YEAR + 1, LAST_YEAR - 1)
    if bad.any():
        at = int(bad.arg_max() or 0)
        quoted = frame.select(shown)[at, 0]
        years = f"{FIRST_YEAR + 1}-{LAST_YEAR - 1}"
        raise InputError(
            f"time {quoted!r} is not a time of the years {years}",
            where=text.where(frame["line"][at]),
            fix="correct or remove the line",
        )

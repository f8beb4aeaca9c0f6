"""Times as vendors write them: the form told from the first one, offsets read where they stand."""

from __future__ import annotations

import re
from datetime import timedelta

import polars as pl

from bqx.base.errors import InputError
from bqx.market.importers.table import check_years, parse_stamps
from bqx.market.importers.text import Text

SUFFIX = r"Z|UTC|GMT|(?:GMT|UTC)?[+-]\d{1,2}(?::?\d\d)?"
_SPLIT = rf"^(.*?\d)\s?({SUFFIX})?$"
_DATES = (
    (r"\d{4}-\d\d-\d\d", "%Y-%m-%d"),
    (r"\d{4}\.\d\d\.\d\d", "%Y.%m.%d"),
    (r"\d{4}/\d\d/\d\d", "%Y/%m/%d"),
    (r"\d\d\.\d\d\.\d{4}", "%d.%m.%Y"),
    (r"\d{8}", "%Y%m%d"),
)
_TIMES = (
    (r"\d\d:\d\d", "%H:%M"),
    (r"\d\d:\d\d:\d\d", "%H:%M:%S"),
    (r"\d\d:\d\d:\d\d\.\d+", "%H:%M:%S%.f"),
    (r"\d{6}", "%H%M%S"),
)
FORMS = tuple((re.compile(f"{d}[ T]{t}"), f"{df} {tf}") for d, df in _DATES for t, tf in _TIMES)
EPOCHS = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1, "epoch_ns": 0}
_DIGITS = {10: "epoch_s", 13: "epoch_ms", 16: "epoch_us", 19: "epoch_ns"}


def guess_form(word: str) -> str | None:
    """strptime form of a time, its offset left out, or one of EPOCHS; None for anything else.

    Slashes before a year leave doubt about day and month: they are None too.

    >>> guess_form("01.07.2024 00:00:00.000 GMT+0200"), guess_form("1720000000")
    ('%d.%m.%Y %H:%M:%S%.f', 'epoch_s')
    """
    if word.isdigit() and len(word) in _DIGITS:
        return _DIGITS[len(word)]
    found = re.fullmatch(_SPLIT, word)
    return next((form for pattern, form in FORMS if found and pattern.fullmatch(found[1])), None)


def read_stamps(text: Text, frame: pl.DataFrame, words: pl.Expr, form: str) -> tuple[pl.Series, set[str]]:
    """Naive stamps, in UTC for rows that state an offset, and the offsets stated; InputError for what is no time."""
    if form in EPOCHS:
        number = words.str.to_integer(strict=False)
        scaled = number // 1_000 if form == "epoch_ns" else number * EPOCHS[form]
        text_of = pl.from_epoch(scaled, time_unit="us").dt.to_string("%Y-%m-%d %H:%M:%S%.f")
        return parse_stamps(text, frame, text_of, "%Y-%m-%d %H:%M:%S%.f", shown=words), {"epoch"}
    quick = _uniform(frame, words, form)
    if quick is not None:
        check_years(text, frame, quick[0], words)
        return quick
    parts = frame.select(
        stem=words.str.extract(_SPLIT, 1).str.replace("T", " ", literal=True),
        suffix=words.str.extract(_SPLIT, 2).fill_null(""),
    )
    both = frame.with_columns(parts)
    stamp = parse_stamps(text, both, pl.col("stem"), form, shown=words)
    offsets = {s: _minutes(s) for s in parts["suffix"].unique()}
    for suffix, value in offsets.items():
        if abs(value) > 14 * 60:
            line = frame["line"][int((parts["suffix"] == suffix).arg_max() or 0)]
            raise InputError(f"time ends in {suffix!r}, beyond any offset from UTC", where=text.where(line))
    shift = parts["suffix"].replace_strict(offsets, return_dtype=pl.Int64)
    return (stamp - (shift * 60_000_000).cast(pl.Duration("us"))).alias("stamp"), {s for s in offsets if s}


def _uniform(frame: pl.DataFrame, words: pl.Expr, form: str) -> tuple[pl.Series, set[str]] | None:
    """Stamps when all rows end as the first does: no pattern has to be matched in each. None when they do not."""
    first = re.fullmatch(_SPLIT, frame.select(words)[0, 0])
    suffix = (first[2] or "") if first else ""
    stem = words.str.strip_suffix(suffix).str.strip_chars_end() if suffix else words
    if "T" in (first[1] if first else ""):
        stem = stem.str.replace("T", " ", literal=True)
    stamp = frame.select(stem.str.to_datetime(form, time_unit="us", strict=False).alias("stamp"))["stamp"]
    if stamp.null_count() or (suffix and not frame.select(words.str.ends_with(suffix).all()).item()):
        return None
    return stamp - timedelta(minutes=_minutes(suffix)), {suffix} - {""}


def _minutes(suffix: str) -> int:
    """Minutes of `+02:00`, `GMT-0500`, `Z`; 0 for nothing."""
    found = re.search(r"([+-])(\d{1,2}):?(\d\d)?$", suffix)
    if not found:
        return 0
    size = int(found[2]) * 60 + int(found[3] or 0)
    return -size if found[1] == "-" else size

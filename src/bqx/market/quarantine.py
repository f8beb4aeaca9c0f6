"""The rows that did not become bars, each with its place, its reason and its text as it stands in the file."""

from __future__ import annotations

import polars as pl

from bqx.market.importers.raw import RawBars

QUARANTINE_SCHEMA: dict[str, pl.DataType] = {
    "pair": pl.String(),
    "file": pl.String(),
    "line": pl.Int64(),
    "ts_utc": pl.String(),
    "reason": pl.String(),
    "text": pl.String(),
}


def quarantine_table(raw: RawBars, bad: pl.DataFrame) -> pl.DataFrame:
    """bad: raw rows with `ts_utc` and `reason`. A row of two files (bid and ask) gives their texts joined by ` | `."""
    lines = _lines(raw, bad)
    rows = []
    for row in bad.iter_rows(named=True):
        sides = [(row["file"], row["line"]), (row["file2"], row["line2"])]
        found = [(f, n) for f, n in sides if f is not None and n is not None]
        file, line = found[0]
        text = " | ".join(lines[place] for place in found)
        rows.append((raw.pair, raw.texts[file].name, line, row["ts_utc"].isoformat(), row["reason"], text))
    return pl.DataFrame(rows, schema=QUARANTINE_SCHEMA, orient="row")


def _lines(raw: RawBars, bad: pl.DataFrame) -> dict[tuple[int, int], str]:
    wanted: dict[int, set[int]] = {}
    for file, line in (("file", "line"), ("file2", "line2")):
        for f, n in bad.select(file, line).drop_nulls().iter_rows():
            wanted.setdefault(f, set()).add(n)
    out: dict[tuple[int, int], str] = {}
    for f, numbers in wanted.items():
        out.update({(f, n): text for n, text in raw.texts[f].quote(numbers).items()})
    return out

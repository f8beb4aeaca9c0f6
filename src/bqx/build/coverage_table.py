"""Shares of NULL by reason as lines of text."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from bqx.features.reasons import REASONS


def null_lines(cells: pl.DataFrame) -> Iterator[str]:
    """One line a row of `Coverage.by(...)`: share of NULL in per cent, then its parts; a legend at the end."""
    keys = [c for c in cells.columns if c not in ("rows", "present", *REASONS)]
    names = [".".join(str(row[k]) for k in keys) for row in cells.iter_rows(named=True)]
    width = max((len(name) for name in names), default=0)
    seen = [reason for reason in REASONS if int(cells[reason].sum()) > 0]
    yield f"{'NULL, % of rows':{width}}  {'rows':>11}  {'NULL':>7}" + "".join(f"  {reason:>10}" for reason in seen)
    for name, row in zip(names, cells.iter_rows(named=True), strict=True):
        parts = "".join(f"  {per_cent(row[reason], row['rows']):>10}" for reason in seen)
        yield f"{name:{width}}  {row['rows']:11,}  {per_cent(row['rows'] - row['present'], row['rows']):>7}{parts}"
    for reason in seen:
        yield f"  {reason}: {REASONS[reason]}"


def per_cent(part: int, whole: int) -> str:
    """Never rounded to 0 or 100 when it is not.

    >>> [per_cent(n, 100_000) for n in (0, 1, 250, 50_000, 99_999, 100_000)]
    ['-', '<0.01', '0.25', '50.00', '>99.99', '100']
    """
    if part in (0, whole):
        return "-" if part == 0 else "100"
    share = 100 * part / whole
    if share < 0.005:
        return "<0.01"
    return ">99.99" if share >= 99.995 else f"{share:.2f}"

"""Coverage as a page: what is NULL and why, by dataset or column, and by month and pair."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from bqx.base.provenance import computed
from bqx.base.report import Cell, Figure, Heading, KeyValues, Report, Table, Text
from bqx.build.coverage import COUNTS, Coverage
from bqx.build.coverage_map import heat_map
from bqx.build.coverage_table import per_cent
from bqx.features.reasons import REASONS

DETAILED = 4
"""Up to as many datasets are drawn column by column."""
_HOW = "calendar, bars and declared supports; what is present from the manifest's NULL counts"


def coverage_report(coverage: Coverage, title: str) -> Report:
    """Figures that add up: rows = present + the NULLs of every reason, demanded before anything is published."""
    report = Report(title, banner="SIMULATED DATA" if coverage.simulated else None)
    total = coverage.total
    nulls = total["rows"] - total["present"]
    report.require_sum("NULL by reason", [total[reason] for reason in REASONS], nulls)
    report.require_sum("rows by dataset", coverage.by("dataset")["rows"].to_list(), total["rows"])
    report.add(
        KeyValues(
            [
                ("values", computed(total["rows"], "", "rows x columns of the partitions")),
                ("not NULL", computed(total["present"], "", _HOW)),
                ("share, %", computed(100 * total["present"] / max(total["rows"], 1), "", _HOW, digits=2)),
            ]
        ),
        Text("A NULL has one reason, the first of these that holds:"),
        Table(
            ["reason", "meaning", "NULLs", "of all values, %"],
            [
                [name, meaning, computed(total[name], "", _HOW), per_cent(total[name], total["rows"])]
                for name, meaning in REASONS.items()
            ],
        ),
    )
    if coverage.skipped:
        report.add(Text(f"{coverage.skipped} partitions are stale and were left out: `bqx build run` makes them anew."))
    datasets = coverage.cells["dataset"].unique(maintain_order=True).to_list()
    if len(datasets) > 1:
        _section(report, "By dataset and reason", coverage.by("dataset"), ["dataset"])
    if len(datasets) <= DETAILED:
        for name in datasets:
            mine = coverage.by("dataset", "column").filter(pl.col("dataset") == name).drop("dataset")
            _section(report, f"{name} by column and reason", mine, ["column"])
    else:
        columns = coverage.by("dataset", "column")
        least = columns.with_columns(share=pl.col("present") / pl.col("rows")).sort("share").head(40).drop("share")
        _section(report, "The forty columns with the fewest values", least, ["dataset", "column"])
    _calendar(report, coverage)
    return report


def _section(report: Report, title: str, cells: pl.DataFrame, keys: Sequence[str]) -> None:
    names = [".".join(row) for row in cells.select(keys).iter_rows()]
    seen = [reason for reason in REASONS if int(cells[reason].sum()) > 0]
    parts = ["NULL", *seen]
    counts = cells.with_columns((pl.col("rows") - pl.col("present")).alias("NULL"))
    matrix = counts.select(parts).to_numpy() / np.maximum(counts["rows"].to_numpy(), 1)[:, None]
    rows = counts["rows"].to_list()

    def text(i: int, j: int) -> str:
        return per_cent(int(counts[parts[j]][i]), rows[i])

    worst = names[int(np.argmax(matrix[:, 0]))] if names else "none"
    report.add(
        Heading(title),
        Figure(
            heat_map(names, [f"{p}, %" if p == "NULL" else p for p in parts], matrix, text),
            "Share of NULL in per cent of the values, all of them and by reason.",
            f"Heat map of {len(names)} rows by {len(parts)} columns; most NULL has {worst}",
            paper=False,
        ),
        Table([*keys, *COUNTS], [_row(record, keys) for record in cells.iter_rows(named=True)]),
    )


def _row(record: dict[str, object], keys: Sequence[str]) -> list[Cell]:
    counts: list[Cell] = [computed(int(str(record[name])), "", _HOW) for name in COUNTS]
    return [*(str(record[k]) for k in keys), *counts]


def _calendar(report: Report, coverage: Coverage) -> None:
    cells = coverage.by("month", "pair")
    months = sorted(cells["month"].unique().to_list())
    pairs = cells["pair"].unique(maintain_order=True).to_list()
    share = np.full((len(pairs), len(months)), np.nan)
    shown: dict[tuple[int, int], str] = {}
    for row in cells.iter_rows(named=True):
        at = pairs.index(row["pair"]), months.index(row["month"])
        nulls = row["rows"] - row["present"]
        share[at], shown[at] = nulls / max(row["rows"], 1), per_cent(nulls, row["rows"])
    report.add(
        Heading("By month and pair"),
        Figure(
            heat_map([p.upper() for p in pairs], months, share, lambda i, j: shown.get((i, j), "")),
            "Share of NULL in per cent of the values of all datasets looked at.",
            f"Heat map of {len(pairs)} pairs by {len(months)} months",
            paper=False,
        ),
        Table(["month", "pair", *COUNTS], [_row(record, ["month", "pair"]) for record in cells.iter_rows(named=True)]),
    )

"""Non-NULL values of a stage, counted three ways: by the manifest, by what is declared, and by SQL over the files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bqx.base.errors import CheckError
from bqx.build.choice import Choice
from bqx.build.coverage import Coverage, project_coverage
from bqx.build.gather import gather
from bqx.build.planner import survey
from bqx.features.reasons import REASONS
from bqx.market.calendar import datetime_of, month_span
from bqx.store.lake import Lake

if TYPE_CHECKING:
    from bqx.build.project import Project
    from bqx.store.contract import PartitionInfo

LACKING = ("panel", "capability", "baseline", "warm-up", "closure", "gap", "undefined")
"""Reasons why a column can have no value at all, those of pairs, source and history first; the first that occurs is
named."""
FEWEST = 500
"""Fewer values than this in a dataset and a comparison says nothing."""


@dataclass(frozen=True)
class Check:
    """An assertion of a stage's evidence. query : how it was found out."""

    id: str
    what: str
    query: str
    expected: int
    observed: int

    @property
    def ok(self) -> bool:
        return self.expected == self.observed

    def as_dict(self) -> dict[str, Any]:
        return {**self.__dict__, "ok": self.ok}


@dataclass
class Counted:
    """lacking : "dataset.column" -> reason, of columns without any value. partly : reason -> how many columns have none
    in a pair, counted a pair, of the other columns. data_hash : of the partitions spoken of."""

    coverage: Coverage
    sql: dict[tuple[str, str, str, str], int]
    checks: list[Check] = field(default_factory=list)
    lacking: dict[str, str] = field(default_factory=dict)
    partly: dict[str, int] = field(default_factory=dict)
    data_hash: str = ""
    partitions: int = 0

    @property
    def failed(self) -> list[Check]:
        return [check for check in self.checks if not check.ok]


def count_stage(project: Project, choice: Choice) -> Counted:
    """Count the stage's datasets (`choice.datasets`); raises CheckError where the manifest and the declarations differ,
    or where the store holds nothing fresh."""
    names = choice.datasets or ()
    inputs, _ = gather(project)
    held = {info.key: info for info in project.store.partitions()}
    found = [info for info in held.values() if info.key.dataset in names and _within(choice, info.key.ym)]
    wanted = fresh = rows = 0
    for _, _, pieces in survey(inputs, list(held.values()), choice):
        wanted += len(pieces)
        fresh += sum(piece.state == "fresh" for piece in pieces)
        rows += sum(piece.rows for piece in pieces)
    coverage = project_coverage(project, choice)
    counted = Counted(coverage, _by_sql(project, names, found), partitions=fresh, data_hash=hash_of(found))
    _assert(counted, wanted, fresh, rows, found)
    if isinstance(project.store, Lake):
        files = {piece.file for info in found for piece in info.pieces}
        same = sum(project.files.damage(file, deep=True) is None for file in files)
        what = "files whose bytes are those that were committed"
        counted.checks.append(Check("bytes", what, "xxh3-128", len(files), same))
    for row in coverage.by("dataset", "column").iter_rows(named=True):
        if row["present"] == 0:
            counted.lacking[f"{row['dataset']}.{row['column']}"] = _why(row)
    for row in coverage.by("dataset", "column", "pair").iter_rows(named=True):
        if row["present"] == 0 and f"{row['dataset']}.{row['column']}" not in counted.lacking:
            counted.partly[_why(row)] = counted.partly.get(_why(row), 0) + 1
    return counted


def _why(row: Mapping[str, Any]) -> str:
    return next((name for name in LACKING if row[name]), "warm-up")


def hash_of(found: Sequence[PartitionInfo]) -> str:
    """Of names, inputs and contents of partitions: evidence holds while this stays."""
    digest = hashlib.sha256()
    for info in sorted(found, key=lambda i: i.name):
        digest.update(f"{info.name}|{info.rows}|{info.input_hash}|{info.content_hash}\n".encode())
    return digest.hexdigest()[:32]


def _within(choice: Choice, ym: str) -> bool:
    return (choice.first_month or "") <= ym <= (choice.last_month or "9999_99")


def query_of(dataset: str, columns: Sequence[str], span: tuple[int, int]) -> str:
    """The SELECT that counts rows and non-NULL values of each column by pair and month, for DuckDB and PostgreSQL."""
    counts = ", ".join(f'count("{name}") AS "{name}"' for name in columns)
    first, end = (datetime_of(minute).strftime("%Y-%m-%d %H:%M:%S") for minute in span)
    when = 'extract(year FROM ts_utc) AS "y", extract(month FROM ts_utc) AS "m"'
    return (
        f'SELECT pair, {when}, count(*) AS "rows", {counts} FROM {dataset} '  # noqa: S608
        f"WHERE ts_utc >= TIMESTAMP '{first}' AND ts_utc < TIMESTAMP '{end}' GROUP BY 1, 2, 3"
    )


def _by_sql(
    project: Project, names: Sequence[str], found: Sequence[PartitionInfo]
) -> dict[tuple[str, str, str, str], int]:
    """Non-NULL values by dataset, column, pair and month, from the files themselves."""
    out: dict[tuple[str, str, str, str], int] = {}
    sql = project.sql()
    for name in names:
        mine = [info for info in found if info.key.dataset == name]
        if not mine:
            continue
        months = [info.key.ym for info in mine]
        span = month_span(min(months))[0], month_span(max(months))[1]
        columns = [c.name for c in project.catalogue[name].columns]
        for row in sql.query(query_of(name, columns, span)).iter_rows(named=True):
            ym = f"{int(row['y']):04}_{int(row['m']):02}"
            out.update({(name, column, row["pair"], ym): row[column] for column in columns})
            out[name, "", row["pair"], ym] = row["rows"]
    return out


def _assert(counted: Counted, wanted: int, fresh: int, rows: int, found: Sequence[PartitionInfo]) -> None:
    cells = {
        (r["dataset"], r["column"], r["pair"], r["month"]): r for r in counted.coverage.cells.iter_rows(named=True)
    }
    total = counted.coverage.total
    sql_rows = sum(n for key, n in counted.sql.items() if not key[1])
    sql_values = {key: n for key, n in counted.sql.items() if key[1]}
    differ = sum(sql_values.get(key) != row["present"] for key, row in cells.items())
    counted_by_sql, explained = sum(sql_values.values()), sum(total[reason] for reason in REASONS)
    by_sql = "SELECT pair, month, count(column) FROM dataset GROUP BY pair, month"
    counted.checks += [
        Check("partitions", "partitions that bars and calendar ask for are there and fresh", "survey", wanted, fresh),
        Check("manifest", "partitions of the manifest in these months", "manifest", wanted, len(found)),
        Check("rows", "rows of these partitions are the open minutes of the calendar", by_sql, rows, sql_rows),
        Check("cells", "columns x pairs x months that were counted by SQL", by_sql, len(cells), len(sql_values)),
        Check("values", "non-NULL values by the manifest and by SQL", by_sql, total["present"], counted_by_sql),
        Check("differences", "cells whose two counts differ", by_sql, 0, differ),
        Check("nulls", "NULLs with a declared reason", "coverage", total["rows"] - total["present"], explained),
        Check("stale", "partitions left out as stale", "coverage", 0, counted.coverage.skipped),
    ]  # fmt: skip


def demand_enough(counted: Counted) -> None:
    """Raise CheckError when a dataset that has values has too few of them to say anything."""
    for row in counted.coverage.by("dataset").iter_rows(named=True):
        if 0 < row["present"] < FEWEST:
            raise CheckError(
                f"{row['dataset']} has {row['present']} values, fewer than {FEWEST}: that proves nothing",
                fix="build more months",
            )


def as_rows(counted: Counted) -> dict[str, list[dict[str, Any]]]:
    """Counts by dataset and by column, JSON-able, each with the count by SQL."""
    sums: dict[tuple[str, ...], int] = {}
    for (dataset, column, _, _), n in counted.sql.items():
        if column:
            for key in ((dataset,), (dataset, column)):
                sums[key] = sums.get(key, 0) + n
    datasets = [
        {**row, "sql": sums.get((row["dataset"],), 0)} for row in counted.coverage.by("dataset").iter_rows(named=True)
    ]
    columns = [
        {**row, "sql": sums.get((row["dataset"], row["column"]), 0)}
        for row in counted.coverage.by("dataset", "column").iter_rows(named=True)
    ]
    return {"datasets": datasets, "columns": columns}

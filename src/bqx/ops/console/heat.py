"""All partitions of a store at a glance: one query over the manifest, as short lists for the page to draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bqx.store.manifest import Manifest

if TYPE_CHECKING:
    from bqx.build.project import Project

_SQL = """
SELECT d.name, q.pair, q.ym, sum(p.rows),
       sum(p.rows * (length(p.null_counts) - length(replace(p.null_counts, ':', '')))),
       sum((SELECT sum(value) FROM json_each(p.null_counts)))
FROM dataset d JOIN partition q ON q.dataset_id = d.id JOIN generation g ON g.partition_id = q.id
JOIN piece p ON p.generation_id = g.id WHERE g.known_to IS NULL GROUP BY q.id ORDER BY d.name, q.ym, q.pair"""
# a NULL count a column, so as many colons as columns: their names have none


@dataclass(frozen=True)
class Heat:
    """rows : [dataset, values, not NULL, partitions]. cells : [dataset, month, pair, rows, per mille not NULL], all but
    the rows as places in the lists."""

    datasets: tuple[str, ...]
    months: tuple[str, ...]
    pairs: tuple[str, ...]
    cells: tuple[tuple[int, int, int, int, int], ...]
    rows: tuple[tuple[str, int, int, int], ...]

    def as_dict(self) -> dict[str, Any]:
        return {"datasets": self.datasets, "months": self.months, "pairs": self.pairs, "cells": self.cells}


def make_heat(project: Project) -> Heat:
    """Of what the store holds now, datasets in the order of the catalogue."""
    found = _by_query(project) if type(project.manifest) is Manifest else _by_store(project)
    names = {row[0] for row in found}
    datasets = [n for n in project.catalogue if n in names] + sorted(names - set(project.catalogue))
    months, pairs = sorted({row[2] for row in found}), sorted({row[1] for row in found})
    at = {name: k for k, name in enumerate(datasets)}
    month_at, pair_at = {ym: k for k, ym in enumerate(months)}, {p: k for k, p in enumerate(pairs)}
    totals = {name: [0, 0, 0] for name in datasets}
    cells = []
    for name, pair, ym, height, values, nulls in found:
        present = values - (nulls or 0)
        cells.append((at[name], month_at[ym], pair_at[pair], height, round(1000 * present / values) if values else 0))
        total = totals[name]
        total[0], total[1], total[2] = total[0] + values, total[1] + present, total[2] + 1
    rows = tuple((name, v[0], v[1], v[2]) for name, v in totals.items())
    return Heat(tuple(datasets), tuple(months), tuple(pairs), tuple(cells), rows)


def _by_query(project: Project) -> list[tuple[str, str, str, int, int, int]]:
    """The manifest's own file is asked in one go, which is three times quicker."""
    with project.manifest.connection() as con:
        return con.execute(_SQL).fetchall()


def _by_store(project: Project) -> list[tuple[str, str, str, int, int, int]]:
    out = []
    for info in project.store.partitions():
        values = sum(piece.rows * len(info.columns) for piece in info.pieces)
        out.append((info.key.dataset, info.key.pair, info.key.ym, info.rows, values, sum(info.null_counts.values())))
    return out

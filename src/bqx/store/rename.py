"""Rename datasets: rows of the manifest change, files stay."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping

from bqx.base.errors import StoreError
from bqx.store.manifest import Manifest
from bqx.store.partition import check_dataset

NAMED_IN = ("unit", "certificate", "declared_by", "fit")
"""Tables of the manifest that speak of a dataset by its name, beside `dataset` itself."""


def rename(
    manifest: Manifest, plan: Mapping[str, str], *, after: Callable[[sqlite3.Connection], None] = lambda con: None
) -> int:
    """Give datasets new names, all or none; swaps and chains are allowed.

    after : runs last inside the same transaction; what it raises undoes everything. Returns how many current
    partitions changed their names. Raises StoreError when an old name does not exist or a new one is taken.
    """
    with manifest.transaction(faults=True) as con:
        changed = rename_in(con, manifest, plan)
        after(con)
    return changed


def rename_in(con: sqlite3.Connection, manifest: Manifest, plan: Mapping[str, str]) -> int:
    """The same inside an open transaction."""
    for name in plan.values():
        check_dataset(name)
    if len(set(plan.values())) < len(plan):
        raise StoreError("two datasets cannot get the same name", where=", ".join(sorted(plan.values())))
    known = {str(name): int(key) for key, name in con.execute("SELECT id, name FROM dataset")}
    for old, new in plan.items():
        if old not in known:
            raise StoreError(f"there is no dataset {old}", fix=f"there are: {', '.join(sorted(known)) or 'none'}")
        if new in known and new not in plan:
            raise StoreError(f"{old} cannot become {new}: that dataset exists", fix="rename or drop it as well")
    for table, column in (("dataset", "name"), *((table, "dataset") for table in NAMED_IN)):
        sql = f"UPDATE {table} SET {column} = ? WHERE {column} = ?"  # noqa: S608 - names are literals of this file
        con.executemany(sql, [(f"~{new}", old) for old, new in plan.items()])
        con.executemany(sql, [(new, f"~{new}") for new in plan.values()])
    manifest.tick(con, "rename")
    sql = (
        "SELECT count(*) FROM generation g JOIN partition p ON p.id = g.partition_id "
        "JOIN dataset d ON d.id = p.dataset_id WHERE g.known_to IS NULL AND d.name = ?"
    )
    return sum(int(con.execute(sql, (new,)).fetchone()[0]) for new in plan.values())

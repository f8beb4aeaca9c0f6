"""Rename datasets: rows of the manifest change, files stay."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping

from bqx.base.errors import StoreError
from bqx.store.manifest import Manifest
from bqx.store.partition import check_dataset


def rename(
    manifest: Manifest,
    plan: Mapping[str, str],
    *,
    before: Callable[[sqlite3.Connection], None] = lambda con: None,
    after: Callable[[sqlite3.Connection], None] = lambda con: None,
) -> int:
    """Give datasets new names, all or none; swaps and chains are allowed.

    before, after : run inside the same transaction; what they raise undoes it. Returns how many current partitions
    changed their names. Raises StoreError when an old name does not exist or a new one is taken.
    """
    for name in plan.values():
        check_dataset(name)
    if len(set(plan.values())) < len(plan):
        raise StoreError("two datasets cannot get the same name", where=", ".join(sorted(plan.values())))
    with manifest.transaction(faults=True) as con:
        before(con)
        known = {str(name): int(key) for key, name in con.execute("SELECT id, name FROM dataset")}
        for old, new in plan.items():
            if old not in known:
                raise StoreError(f"there is no dataset {old}", fix=f"there are: {', '.join(sorted(known)) or 'none'}")
            if new in known and new not in plan:
                raise StoreError(f"{old} cannot become {new}: that dataset exists", fix="rename or drop it as well")
        for table, column in (
            ("dataset", "name"),
            ("unit", "dataset"),
            ("certificate", "dataset"),
            ("declared_by", "dataset"),
            ("fit", "dataset"),
        ):
            sql = f"UPDATE {table} SET {column} = ? WHERE {column} = ?"  # noqa: S608 - names are the literals above
            con.executemany(sql, [(f"\x00{new}", old) for old, new in plan.items()])
            con.executemany(sql, [(new, f"\x00{new}") for new in plan.values()])
        manifest.tick(con, "rename")
        sql = (
            "SELECT count(*) FROM generation g JOIN partition p ON p.id = g.partition_id "
            "JOIN dataset d ON d.id = p.dataset_id WHERE g.known_to IS NULL AND d.name = ?"
        )
        changed = sum(int(con.execute(sql, (new,)).fetchone()[0]) for new in plan.values())
        after(con)
        return changed

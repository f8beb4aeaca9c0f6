"""Retention: drop partitions, remove superseded generations, remove files that nothing refers to.

The rules, in full:

1. The newest `keep_generations` superseded generations of a partition stay beside the current one.
2. A dropped partition (no current generation) keeps none.
3. Bars are never collected: every version of a corrected bar stays readable.
4. A file no row refers to is an orphan of a killed run, or was freed by 1 and 2. While somebody holds a lease, one
   touched within the last hour may belong to a commit about to come, and stays; without a lease all go.
   (`bqx store gc` takes the lease itself, so that no build runs beside it, and then all go.)
5. Files are deleted inside a manifest transaction, and commits check inside theirs that their files exist:
   a commit that loses the race fails and is built again, it never refers to a deleted file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bqx.base.errors import StoreError
from bqx.store.contract import PartitionInfo
from bqx.store.files import Files, Found
from bqx.store.listing import list_partitions
from bqx.store.manifest import Manifest
from bqx.store.partition import PartitionKey

YOUNG_SECONDS = 3600.0
FOLDERS = ("lake", "bars", "spool")

_SUPERSEDED = """
SELECT g.id FROM (
    SELECT id, partition_id, known_to,
           row_number() OVER (PARTITION BY partition_id, known_to IS NULL ORDER BY known_from DESC) AS age,
           max(CASE WHEN known_to IS NULL THEN 1 ELSE 0 END) OVER (PARTITION BY partition_id) AS alive
    FROM generation) g
WHERE g.known_to IS NOT NULL AND (g.age > :keep OR g.alive = 0)"""


@dataclass(frozen=True, slots=True)
class Collected:
    """What gc removed, or would: generations, files (relative paths), bytes; `young` orphans were left alone."""

    generations: int
    files: tuple[str, ...]
    bytes: int
    young: int
    dry_run: bool


def drop(manifest: Manifest, keys: Iterable[PartitionKey], *, dry_run: bool = False) -> list[PartitionInfo]:
    """Retire the current generation of each partition; raises StoreError, with nothing changed, for an absent one."""
    wanted = sorted(set(keys))
    if dry_run:
        return [info for info, _ in current(manifest, wanted)]
    with manifest.transaction(faults=True) as con:
        found = current(manifest, wanted)
        if found:
            known = manifest.tick(con, "drop")
            con.executemany("UPDATE generation SET known_to = ? WHERE id = ?", [(known, at) for _, at in found])
            con.executemany("DELETE FROM unit WHERE dataset = ? AND ym = ?", [(key.dataset, key.ym) for key in wanted])
    return [info for info, _ in found]


def current(manifest: Manifest, keys: list[PartitionKey]) -> list[tuple[PartitionInfo, int]]:
    """Current generations with their ids; raises StoreError for a partition that has none."""
    known = {
        info.key: info for name in {key.dataset for key in keys} for info in list_partitions(manifest, dataset=name)
    }
    absent = [key.name for key in keys if key not in known]
    if absent:
        raise StoreError(f"{len(absent)} partitions do not exist, first {absent[0]}", fix="see `bqx build status`")
    return [(known[key], known[key].generation) for key in keys]


def gc(
    files: Files,
    manifest: Manifest,
    *,
    keep_generations: int = 1,
    dry_run: bool = False,
    min_age_s: float | None = None,
    folders: Sequence[str] = FOLDERS,
) -> Collected:
    """Apply the rules above; `min_age_s` overrides the age below which orphans stay.

    folders : where files are this manifest's to judge. Two manifests may share a project folder (docs/postgres.md);
    what the other one may refer to is left alone.
    """
    if keep_generations < 0:
        raise StoreError(f"keep_generations is {keep_generations}", fix="0 or more superseded generations can be kept")
    with manifest.connection() as con:
        generations = [int(row[0]) for row in con.execute(_SUPERSEDED, {"keep": keep_generations})]
        held = con.execute("SELECT count(*) FROM lease").fetchone()[0] > 0
    if min_age_s is None:
        min_age_s = YOUNG_SECONDS if held else 0.0
    if dry_run:
        with manifest.connection() as con:
            doomed, young = _orphans(files, folders, _referenced(con, set(generations)), min_age_s)
        return _summary(generations, doomed, young, dry_run)
    if generations:
        with manifest.transaction(faults=True) as con:
            con.executemany("DELETE FROM generation WHERE id = ?", [(key,) for key in generations])
            con.execute("DELETE FROM partition WHERE id NOT IN (SELECT partition_id FROM generation)")
            con.execute("DELETE FROM dataset WHERE id NOT IN (SELECT dataset_id FROM partition)")
            con.execute(
                "DELETE FROM file WHERE id NOT IN (SELECT file_id FROM piece) "
                "AND id NOT IN (SELECT file_id FROM bar_month)"
            )
    with manifest.transaction() as con:
        doomed, young = _orphans(files, folders, _referenced(con, set()), min_age_s)
        report = _summary(generations, doomed, young, dry_run)
        files.remove(found.path for found in doomed)
        files.tidy(FOLDERS, YOUNG_SECONDS if held else 0.0)
    return report


def _referenced(con: sqlite3.Connection, without: set[int]) -> set[str]:
    """Paths that pieces of other generations than `without`, or bars, refer to."""
    pieces = con.execute("SELECT p.generation_id, f.path FROM piece p JOIN file f ON f.id = p.file_id")
    kept = {str(path) for generation, path in pieces if generation not in without}
    bars = con.execute("SELECT f.path FROM bar_month m JOIN file f ON f.id = m.file_id")
    return kept | {str(path) for (path,) in bars}


def _orphans(files: Files, folders: Sequence[str], referenced: set[str], min_age_s: float) -> tuple[list[Found], int]:
    """Files of the store that may go, and how many unreferenced ones are too young."""
    doomed, young = [], 0
    for found in (each for folder in folders for each in files.listed(folder)):
        if found.path in referenced:
            continue
        if min_age_s and found.age < min_age_s:
            young += 1
        else:
            doomed.append(found)
    return doomed, young


def _summary(generations: list[int], doomed: list[Found], young: int, dry_run: bool) -> Collected:
    paths = tuple(found.path for found in doomed)
    return Collected(len(generations), paths, sum(found.bytes for found in doomed), young, dry_run)

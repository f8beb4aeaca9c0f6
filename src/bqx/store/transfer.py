"""`bqx store copy`: partitions from one store into another, of whatever kind, each compared by its content hash."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from bqx.base.errors import StoreError
from bqx.store.content import content_hash
from bqx.store.contract import FeatureStore, PartitionInfo, Receipt
from bqx.store.files import Files, Written
from bqx.store.manifest import Manifest

if TYPE_CHECKING:
    import polars as pl

_CARRIED = (
    "change", "file", "source", "bar_month", "bar_month_source", "bar_day", "baseline", "calendar",
    "declaration", "declared_by", "fit", "certificate",
)  # fmt: skip
"""Tables of the manifest that say something about bars, or about what partitions were built from."""


@dataclass(frozen=True, slots=True)
class Copied:
    """copied, same : partitions written, and those that were there already. bars : months of bars taken along."""

    copied: tuple[str, ...]
    same: tuple[str, ...]
    rows: int
    bars: int
    dry_run: bool


def copy_partitions(
    source: FeatureStore,
    target: FeatureStore,
    *,
    dry_run: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> Copied:
    """Every current partition of `source`, one transaction a dataset and month; run again it goes on where it stopped.

    A partition in several pieces arrives in one. Each is hashed when read (against its manifest) and once more when
    read back from `target`; StoreError, naming it, when a hash differs.
    """
    held = {info.key: info for info in target.partitions()}
    copied: list[str] = []
    same: list[str] = []
    rows = 0
    todo = []
    for info in source.partitions():
        (same.append(info.name) if _equal(held.get(info.key), info) else todo.append(info))
    if not dry_run:
        target.ready([info.key for info in todo])
    ordered = sorted(todo, key=lambda info: (info.key.dataset, info.key.ym, info.key.pair))
    for (dataset, ym), group in groupby(ordered, key=lambda info: (info.key.dataset, info.key.ym)):
        infos = list(group)
        if progress:
            progress(len(copied), len(todo), f"{dataset} {ym}")
        if not dry_run:
            receipts = [_stage(source, target, info) for info in infos]
            target.commit(receipts)
            for receipt in receipts:
                _compare(
                    receipt.content_hash,
                    _rows(target, receipt.key.dataset, receipt.key.pair, receipt.key.span),
                    receipt.key.name,
                )
        copied += [info.name for info in infos]
        rows += sum(info.rows for info in infos)
    return Copied(tuple(copied), tuple(same), rows, 0, dry_run)


def carry_bars(
    source: Manifest, source_files: Files, target: Manifest, target_files: Files, *, dry_run: bool = False
) -> int:
    """Months of bars taken into a project that has none: their files, and all the manifest says of them.

    Returns 0, and does nothing, when the target's manifest has seen any change.
    """
    with target.connection() as con:
        if con.execute("SELECT count(*) FROM change").fetchone()[0]:
            return 0
    with source.connection() as con:
        months = int(con.execute("SELECT count(*) FROM bar_month").fetchone()[0])
        if not months or dry_run:
            return months
        tables = {name: con.execute(f"SELECT * FROM {name}").fetchall() for name in _CARRIED}  # noqa: S608 - from above
        sql = "SELECT path, bytes, file_hash FROM file WHERE id IN (SELECT file_id FROM bar_month)"
        files = [Written(*row) for row in con.execute(sql)]
    wanted = {row[_FILE_OF_MONTH] for row in tables["bar_month"]}
    tables["file"] = [row for row in tables["file"] if row[0] in wanted]
    if source_files.where != target_files.where:
        for file, size in zip(files, target_files.sizes([file.path for file in files]), strict=True):
            if size != file.bytes:
                target_files.put(file.path, source_files.fetch([file])[0].read_bytes(), file.file_hash)
    with target.transaction(faults=True) as con:
        for name, rows in tables.items():
            if rows:
                marks = ", ".join("?" * len(rows[0]))
                con.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)  # noqa: S608 - names from above
        target.after_ids(con)
    return months


_FILE_OF_MONTH = 5


def _equal(there: PartitionInfo | None, info: PartitionInfo) -> bool:
    """Whether a partition says the same, inputs and code included. One in several pieces has no hash to compare."""
    if there is None:
        return False
    ours, theirs = ((i.content_hash, i.input_hash, i.code_version, i.complete_through) for i in (there, info))
    return ours == theirs


def _stage(source: FeatureStore, target: FeatureStore, info: PartitionInfo) -> Receipt:
    table = _rows(source, info.key.dataset, info.key.pair, info.key.span, list(info.columns))
    start = 0
    for piece in info.pieces:
        _compare(piece.content_hash, table.slice(start, piece.rows), info.name)
        start += piece.rows
    return target.stage(
        info.key,
        table,
        input_hash=info.input_hash,
        code_version=info.code_version,
        complete_through=info.complete_through,
        simulated=info.simulated,
    )


def _rows(
    store: FeatureStore, dataset: str, pair: str, span: tuple[int, int], columns: list[str] | None = None
) -> pl.DataFrame:
    return store.read(dataset, [pair], span, columns).drop("pair").collect()


def _compare(wanted: str, table: pl.DataFrame, where: str) -> None:
    found = content_hash(table)
    if found != wanted:
        raise StoreError(
            f"its content hash is {found}, the manifest says {wanted}", where=where, fix="run `bqx build verify --deep`"
        )

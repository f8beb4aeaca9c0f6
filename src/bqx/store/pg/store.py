"""The PostgreSQL store: `FeatureStore` over partitioned tables, its manifest in the same database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bqx.base.errors import Unsupported
from bqx.store import collect, read
from bqx.store.compact import Compacted
from bqx.store.contract import PartitionInfo, Problem, Receipt, digest
from bqx.store.files import LocalFiles
from bqx.store.known import AsOf
from bqx.store.listing import list_partitions
from bqx.store.partition import PartitionKey, check_dataset
from bqx.store.pg import change, commit, stage, verify
from bqx.store.pg.manifest import PgManifest
from bqx.store.pg.rows import scan_tables

if TYPE_CHECKING:
    import polars as pl


class PostgresStore:
    """`FeatureStore` on a PostgreSQL server. `root` is the project folder, where staged rows wait in `spool/`.

    It holds the current generation only: `as_of` raises Unsupported. Tables are made by `bqx store upgrade`.
    collects : folders in which `gc` may delete files.
    """

    def __init__(self, root: Path, manifest: PgManifest, *, collects: Sequence[str] = ("bars", "spool")) -> None:
        self.root, self.manifest, self.collects = root, manifest, collects

    def stage(
        self,
        key: PartitionKey,
        table: pl.DataFrame,
        *,
        input_hash: str,
        code_version: str,
        complete_through: int,
        simulated: bool,
    ) -> Receipt:
        return stage.stage_part(
            self.root,
            key,
            table,
            input_hash=input_hash,
            code_version=code_version,
            complete_through=complete_through,
            simulated=simulated,
        )

    def stage_tail(
        self,
        dataset: str,
        tables: Mapping[str, pl.DataFrame],
        *,
        input_hash: str,
        code_version: str,
        complete_through: int,
        simulated: bool,
    ) -> list[Receipt]:
        return stage.stage_tail(
            self.root,
            dataset,
            tables,
            input_hash=input_hash,
            code_version=code_version,
            complete_through=complete_through,
            simulated=simulated,
        )

    def ready(self, keys: Iterable[PartitionKey]) -> None:
        verify.ready(self.manifest, keys)

    def commit(self, receipts: Iterable[Receipt], *, known_at: AsOf = None) -> None:
        commit.commit(self.root, self.manifest, receipts, known_at=known_at)

    def read(
        self,
        datasets: str | Sequence[str],
        pairs: Sequence[str] | None = None,
        span: tuple[int, int] | None = None,
        columns: Sequence[str] | None = None,
        as_of: AsOf = None,
    ) -> pl.LazyFrame:
        _refuse(as_of)
        names = [datasets] if isinstance(datasets, str) else list(datasets)
        with self.manifest.connection():  # one snapshot for all datasets
            found = [info for name in names for info in list_partitions(self.manifest, dataset=check_dataset(name))]
        return read.read(scan_tables(self.manifest), found, names, pairs, span, columns)

    def partitions(
        self, as_of: AsOf = None, dataset: str | None = None, pair: str | None = None
    ) -> list[PartitionInfo]:
        _refuse(as_of)
        return list_partitions(self.manifest, dataset=dataset, pair=pair)

    def rename(self, plan: Mapping[str, str]) -> int:
        return change.rename(self.manifest, plan)

    def drop(self, keys: Iterable[PartitionKey], *, dry_run: bool = False) -> list[PartitionInfo]:
        return change.drop(self.manifest, keys, dry_run=dry_run)

    def verify(self, deep: bool = False) -> list[Problem]:
        return verify.verify(self.root, self.manifest, deep=deep)

    def gc(
        self, *, keep_generations: int = 1, dry_run: bool = False, min_age_s: float | None = None
    ) -> collect.Collected:
        return collect.gc(
            LocalFiles(self.root),
            self.manifest,
            keep_generations=keep_generations,
            dry_run=dry_run,
            min_age_s=min_age_s,
            folders=self.collects,
        )

    def compact(self, dataset: str | None = None, *, dry_run: bool = False) -> Compacted:
        return change.compact(self.manifest, dataset, dry_run=dry_run)

    def digest(self, as_of: AsOf = None) -> str:
        """sha256 over names and content hashes: equal for stores that say the same."""
        return digest(self.partitions(as_of))


def _refuse(as_of: AsOf) -> None:
    if as_of is not None:
        raise Unsupported(
            "a store in PostgreSQL holds the current generation only, so it cannot be read as of an earlier time",
            fix="leave as_of out, or keep a lake beside it: `bqx store copy`",
        )

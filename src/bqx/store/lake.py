"""The lake: immutable Parquet files, here or in object storage, named by the manifest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import polars as pl

from bqx.store import collect, commit, compact, read, rename, stage, verify
from bqx.store.contract import PartitionInfo, Problem, Receipt, digest
from bqx.store.files import Codec, Files, LocalFiles
from bqx.store.known import AsOf, known_us
from bqx.store.listing import list_partitions
from bqx.store.manifest import Manifest
from bqx.store.partition import PartitionKey, check_dataset


class Lake:
    """`FeatureStore` of files; see the contract for what methods do. `root` is the project folder.

    files : where they are, in the project folder unless given. collects : folders in which `gc` may delete files.
    """

    def __init__(
        self,
        root: Path,
        manifest: Manifest,
        *,
        codec: Codec = "lz4",
        collects: Sequence[str] = collect.FOLDERS,
        files: Files | None = None,
    ) -> None:
        self.root, self.manifest, self.codec, self.collects = root, manifest, codec, collects
        self.files = files or LocalFiles(root)

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
        return stage.stage_month(
            self.files,
            self.codec,
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
            self.files,
            self.codec,
            dataset,
            tables,
            input_hash=input_hash,
            code_version=code_version,
            complete_through=complete_through,
            simulated=simulated,
        )

    def ready(self, keys: Iterable[PartitionKey]) -> None:
        """Files need nothing made before."""

    def commit(self, receipts: Iterable[Receipt], *, known_at: AsOf = None) -> None:
        commit.commit(self.files, self.manifest, receipts, known_at=known_at)

    def read(
        self,
        datasets: str | Sequence[str],
        pairs: Sequence[str] | None = None,
        span: tuple[int, int] | None = None,
        columns: Sequence[str] | None = None,
        as_of: AsOf = None,
    ) -> pl.LazyFrame:
        names = [datasets] if isinstance(datasets, str) else list(datasets)
        known = known_us(as_of)
        with self.manifest.connection():  # one snapshot for all datasets
            found = [
                info
                for name in names
                for info in list_partitions(self.manifest, as_of=known, dataset=check_dataset(name))
            ]
        return read.read(read.scan_files(self.files), found, names, pairs, span, columns)

    def partitions(
        self, as_of: AsOf = None, dataset: str | None = None, pair: str | None = None
    ) -> list[PartitionInfo]:
        return list_partitions(self.manifest, as_of=known_us(as_of), dataset=dataset, pair=pair)

    def rename(self, plan: Mapping[str, str]) -> int:
        return rename.rename(self.manifest, plan)

    def drop(self, keys: Iterable[PartitionKey], *, dry_run: bool = False) -> list[PartitionInfo]:
        return collect.drop(self.manifest, keys, dry_run=dry_run)

    def verify(self, deep: bool = False) -> list[Problem]:
        return verify.verify(self.files, self.manifest, deep=deep)

    def gc(
        self, *, keep_generations: int = 1, dry_run: bool = False, min_age_s: float | None = None
    ) -> collect.Collected:
        return collect.gc(
            self.files,
            self.manifest,
            keep_generations=keep_generations,
            dry_run=dry_run,
            min_age_s=min_age_s,
            folders=self.collects,
        )

    def compact(self, dataset: str | None = None, *, dry_run: bool = False) -> compact.Compacted:
        return compact.compact(self, dataset, dry_run=dry_run)

    def digest(self, as_of: AsOf = None) -> str:
        """sha256 over names and content hashes: equal for stores that say the same."""
        return digest(self.partitions(as_of))

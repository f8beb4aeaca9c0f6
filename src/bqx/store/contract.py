"""The contract of a feature store: what it takes, what it gives back, what it promises."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from bqx.store.files import Written
from bqx.store.fingerprint import combine
from bqx.store.known import AsOf
from bqx.store.partition import PartitionKey

if TYPE_CHECKING:
    import polars as pl

    from bqx.store.collect import Collected
    from bqx.store.compact import Compacted

Schema = tuple[tuple[str, str], ...]
"""Columns of a file in order, as (name, Polars type)."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a worker hands to the coordinator: an immutable file is on disk, and nobody has been told yet.

    path : relative to the project. row_start : where its rows begin in a tail file, 0 in a month file.
    complete_through : the last minute the rows speak for, also when that minute has none.
    ts_hash : additive fingerprint of the minutes. content_hash : of ts_utc and the columns, whatever the writer.
    input_hash : of all inputs of the partition up to complete_through. simulated : made from simulated bars.
    """

    key: PartitionKey
    path: str
    kind: Literal["month", "tail"]
    row_start: int
    rows: int
    first_minute: int
    last_minute: int
    complete_through: int
    file_hash: str
    content_hash: str
    ts_hash: str
    input_hash: str
    code_version: str
    schema: Schema
    null_counts: Mapping[str, int]
    bytes: int
    simulated: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """Feature columns, without ts_utc."""
        return tuple(name for name, _ in self.schema if name not in ("pair", "ts_utc"))

    def as_dict(self) -> dict[str, Any]:
        """JSON form, for workers in other processes."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Receipt:
        schema = tuple((str(name), str(kind)) for name, kind in data["schema"])
        return cls(**{**data, "key": PartitionKey(**data["key"]), "schema": schema})


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows [row_start, row_start + rows) of one immutable file, known since `known_from` (microseconds UTC)."""

    path: str
    kind: Literal["month", "tail"]
    row_start: int
    rows: int
    first_minute: int
    last_minute: int
    complete_through: int
    known_from: int
    file_hash: str
    content_hash: str
    ts_hash: str
    input_hash: str
    code_version: str
    schema: Schema
    null_counts_json: str
    bytes: int

    @property
    def file(self) -> Written:
        return Written(self.path, self.bytes, self.file_hash)

    @property
    def null_counts(self) -> dict[str, int]:
        counts: dict[str, int] = json.loads(self.null_counts_json)
        return counts


@dataclass(frozen=True, slots=True)
class PartitionInfo:
    """A partition as the manifest knows it: one generation and its pieces in order of time."""

    key: PartitionKey
    generation: int
    known_from: int
    known_to: int | None
    simulated: bool
    pieces: tuple[Piece, ...]

    @property
    def name(self) -> str:
        return self.key.name

    @property
    def rows(self) -> int:
        return sum(piece.rows for piece in self.pieces)

    @property
    def first_minute(self) -> int:
        return self.pieces[0].first_minute

    @property
    def last_minute(self) -> int:
        return self.pieces[-1].last_minute

    @property
    def complete_through(self) -> int:
        return self.pieces[-1].complete_through

    @property
    def input_hash(self) -> str:
        """Of the last piece: a tail's input hash covers the whole partition up to its complete_through."""
        return self.pieces[-1].input_hash

    @property
    def code_version(self) -> str:
        """The code that made it; several joined by + when pieces differ, which equals no current version."""
        return "+".join(sorted({piece.code_version for piece in self.pieces}))

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.pieces[0].schema if name not in ("pair", "ts_utc"))

    @property
    def ts_hash(self) -> str:
        """Fingerprint of its minutes, however they are cut into pieces."""
        return combine(piece.ts_hash for piece in self.pieces)

    @property
    def content_hash(self) -> str:
        """Content hash of a partition in one piece; those of its pieces joined by + otherwise."""
        return "+".join(piece.content_hash for piece in self.pieces)

    @property
    def null_counts(self) -> dict[str, int]:
        total: dict[str, int] = {}
        for piece in self.pieces:
            for column, count in piece.null_counts.items():
                total[column] = total.get(column, 0) + count
        return total

    @property
    def bytes(self) -> int:
        """Bytes of its files; a tail file is shared by the pairs of its dataset and counts in full."""
        return sum(piece.bytes for piece in self.pieces)


def digest(infos: Iterable[PartitionInfo]) -> str:
    """sha256 over names, content hashes and complete_through: equal for stores that say the same."""
    lines = (f"{info.name} {info.content_hash} {info.complete_through}\n" for info in infos)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Problem:
    """Something `verify` found: which partition and file, what is wrong, what to do."""

    partition: str
    path: str
    what: str
    fix: str


class FeatureStore(Protocol):
    """Partitions are absent or complete; what was known at a time can be read as it was then.

    Tables have `ts_utc` first, then the columns in registry order; NULL is null, NaN and Inf are refused.
    """

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
        """Write one partition's rows to an immutable file; any thread or process, nothing becomes visible."""

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
        """Write new rows of all pairs of a dataset to one file; one receipt a pair and month."""

    def ready(self, keys: Iterable[PartitionKey]) -> None:
        """Raise, naming what to do, unless these partitions can be written; asked before a build computes anything."""

    def commit(self, receipts: Iterable[Receipt], *, known_at: AsOf = None) -> None:
        """Make them all visible in one transaction (the coordinator only)."""

    def read(
        self,
        datasets: str | Sequence[str],
        pairs: Sequence[str] | None = None,
        span: tuple[int, int] | None = None,
        columns: Sequence[str] | None = None,
        as_of: AsOf = None,
    ) -> pl.LazyFrame:
        """Rows of [start, end) minutes by pair, then time: pair, ts_utc, columns ({dataset}.{column} for several)."""

    def partitions(
        self, as_of: AsOf = None, dataset: str | None = None, pair: str | None = None
    ) -> list[PartitionInfo]:
        """What is there (or was, at `as_of`), ordered by dataset, pair, month."""

    def rename(self, plan: Mapping[str, str]) -> int:
        """Rename datasets in one transaction (swaps allowed); the number of partitions that changed their names."""

    def drop(self, keys: Iterable[PartitionKey], *, dry_run: bool = False) -> list[PartitionInfo]:
        """Retire partitions; earlier `as_of` still reads them until `gc`."""

    def verify(self, deep: bool = False) -> list[Problem]:
        """Compare files with the manifest; `deep` reads them."""

    def gc(self, *, keep_generations: int = 1, dry_run: bool = False, min_age_s: float | None = None) -> Collected:
        """Remove superseded generations beyond `keep_generations` and files that nothing refers to."""

    def compact(self, dataset: str | None = None, *, dry_run: bool = False) -> Compacted:
        """Fold tail pieces into month files; every read gives the same frame before and after."""

    def digest(self, as_of: AsOf = None) -> str:
        """sha256 over names and content hashes: equal for stores that say the same."""

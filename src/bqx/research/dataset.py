"""A training dataset: a pinned view of the store, its labels, splits and seal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.base.errors import DatasetError, SealedError, UsageError
from bqx.research.candidate_read import Block, read_blocks
from bqx.research.candidates import Candidate, candidates, counted_datasets
from bqx.research.labels import Labels
from bqx.research.seal import was_opened
from bqx.research.split_plan import SplitPlan

if TYPE_CHECKING:
    from bqx.build.project import Project

F4 = NDArray[np.float32]
I8 = NDArray[np.int64]
FOLDER = "datasets"
MANIFEST = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class Sample:
    """Rows of one pair: candidates X (n, columns), float32, NaN for NULL, beside their labels; `every` bars apart."""

    pair: str
    every: int
    chosen: tuple[Candidate, ...]
    seg_age: I8
    in_stream: I8
    X: F4
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def position(self) -> I8:
        return self.labels.position

    def take(self, rows: NDArray[np.bool_] | I8) -> Sample:
        """Some rows, in order."""
        x, labels = self.X[rows], self.labels.take(rows)
        return replace(self, seg_age=self.seg_age[rows], in_stream=self.in_stream[rows], X=x, labels=labels)


class Dataset:
    """Read what `bqx dataset make` pinned; rows of the sealed test only after it was opened.

    `data` is the manifest. Raises DatasetError when the store no longer holds what the dataset was made of.
    """

    def __init__(self, project: Project, name: str, data: dict[str, Any]) -> None:
        self.project, self.name, self.data = project, name, data
        self.folder = project.root / FOLDER / name
        self.pairs: tuple[str, ...] = tuple(data["pairs"])
        self.start, self.end = int(data["start"]), int(data["end"])
        self.as_of: int | None = data["as_of"]

    @classmethod
    def open(cls, project: Project, name: str) -> Dataset:
        """By name; UsageError lists what there is."""
        path = project.root / FOLDER / check_name(name) / MANIFEST
        if not path.is_file():
            have = ", ".join(names(project.root)) or "none: `bqx dataset make NAME`"
            raise UsageError(f"no dataset {name!r}", fix=f"there is {have}")
        data = json.loads(path.read_text("utf-8"))
        if data["format"] != FORMAT:
            raise DatasetError(f"dataset {name} has format {data['format']}, this bqx knows {FORMAT}", where=str(path))
        if data["hash"] != manifest_hash(data):
            raise DatasetError(f"the manifest of {name} was changed after it was made", where=str(path))
        return cls(project, name, data)

    @property
    def hash(self) -> str:
        """Names the dataset in ledgers and results."""
        return str(self.data["hash"])

    @property
    def profile(self) -> str:
        return str(self.data["lag_profile"])

    @property
    def simulated(self) -> bool:
        return bool(self.data["simulated"])

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        return candidates(self.profile, self.wider)

    @property
    def wider(self) -> tuple[str, ...]:
        """Extensions whose columns are candidates, too."""
        return tuple(self.data.get("extensions", ()))

    @cached_property
    def splits(self) -> SplitPlan:
        return SplitPlan(**self.data["splits"])

    @property
    def sealed_from(self) -> int:
        """First minute that is sealed; the end of the dataset when nothing is."""
        sealed = self.splits.sealed
        return self.end if sealed is None else self.project.calendar.at_ordinal(sealed)

    def blocks(
        self, pair: str, chosen: Sequence[Candidate] | None = None, *, release: str | None = None
    ) -> Iterator[Block]:
        """Months of candidates in order, all of them unless `chosen`; memory is one month.

        release : a release for which the sealed test was opened; without it the stream ends where the seal begins.
        """
        end = self._end(release)
        self.check_sources(pair)
        project = self.project
        picked = self.candidates if chosen is None else chosen
        yield from read_blocks(project.store, project.calendar, pair, self.start, end, picked, self.as_of)

    def labels(self, pair: str, *, release: str | None = None) -> Labels:
        """All labels of a pair before the seal, NULL where they reach into it; with it for an opened `release`."""
        end = self._end(release)
        parts = []
        for piece in self.data["labels"][self._pair(pair)]:
            path = self.folder / piece["path"]
            if not path.is_file() or file_hash(path) != piece["hash"]:
                raise DatasetError("a label file is absent or was changed", where=str(path), fix="make it again")
            parts.append(Labels.of_frame(pl.read_parquet(path, glob=False, memory_map=False)))
        whole = Labels.concat(parts)
        if release is not None or self.splits.sealed is None:
            return whole
        return whole.take(whole.minute < end).before(self.splits.sealed)

    def sample(
        self,
        pair: str,
        *,
        every: int = 15,
        chosen: Sequence[Candidate] | None = None,
        span: tuple[int, int] | None = None,
        where: Callable[[I8], NDArray[np.bool_]] | None = None,
        release: str | None = None,
    ) -> Sample:
        """Rows whose position is a multiple of `every`, in positions [start, end) of `span`, read by the month.

        where : which positions to take instead of the multiples of `every`.
        """
        picked = tuple(self.candidates if chosen is None else chosen)
        low, high = span or (0, 1 << 62)

        def taken(at: I8) -> I8:
            wanted = at % every == 0 if where is None else where(at)
            return np.flatnonzero(wanted & (at >= low) & (at < high))

        labels = self.labels(pair, release=release)
        rows = taken(labels.position)
        labels = labels.take(rows)
        X = np.empty((len(picked), len(rows)), dtype=np.float32)
        at = 0
        for block in self.blocks(pair, picked, release=release):
            keep = taken(block.position)
            X[:, at : at + len(keep)] = block.X[keep].T
            if not np.array_equal(labels.minute[at : at + len(keep)], block.minute[keep]):
                raise DatasetError("labels and candidates have different minutes", where=f"{self.name} {pair}")
            at += len(keep)
        if at != len(rows):
            raise DatasetError(f"{at:,} rows of candidates, {len(rows):,} of labels", where=f"{self.name} {pair}")
        first = self.project.calendar.ordinal(int(self.data["first_bar"][pair]))
        return Sample(pair, every, picked, labels.seg_age, labels.position - first + 1, X.T, labels)

    def check_sources(self, pair: str) -> None:
        """DatasetError unless the store, as known then, still has every partition the dataset was made of."""
        want = self.data["sources"][self._pair(pair)]
        have = sources(self.project, pair, self.start, self.end, self.as_of, self.wider)
        for name, digest in want.items():
            if have.get(name) != digest:
                gone = "is no longer in the store" if name not in have else "is not the generation it was made of"
                raise DatasetError(
                    f"{name} {gone}", where=self.name, fix="make the dataset again; `store gc` removes old generations"
                )

    def _pair(self, pair: str) -> str:
        if pair not in self.pairs:
            raise UsageError(f"dataset {self.name} has no pair {pair!r}", fix=f"it has {', '.join(self.pairs)}")
        return pair

    def _end(self, release: str | None) -> int:
        if release is None:
            return self.sealed_from
        if self.splits.sealed is not None and not was_opened(self.project.root, self.hash, release):
            raise SealedError(
                f"the sealed test of {self.name} was not opened for release {release!r}",
                fix=f"`bqx dataset open {self.name} --release {release} --reason WHY`, when nothing is chosen any more",
            )
        return self.end


def sources(
    project: Project, pair: str, start: int, end: int, as_of: int | None, wider: tuple[str, ...] = ()
) -> dict[str, str]:
    """Partition name -> what fixes its contents, for the counted datasets of a pair, and the extensions `wider`, that
    touch [start, end)."""
    counted = counted_datasets(wider)
    out = {}
    for info in project.store.partitions(as_of, pair=pair):
        if info.key.dataset in counted and info.first_minute < end and info.last_minute >= start:
            made = f"{info.input_hash}:{info.code_version}:{info.complete_through}:{info.rows}"
            out[info.name] = hashlib.sha256(made.encode()).hexdigest()[:24]
    return out


def names(root: Path) -> list[str]:
    """Datasets of a project."""
    return sorted(p.parent.name for p in (root / FOLDER).glob(f"*/{MANIFEST}") if not p.parent.name.startswith("."))


def check_name(name: str) -> str:
    """A name that is a folder's: letters, digits, - and _."""
    if not name or len(name) > 64 or not all(c.isascii() and (c.isalnum() or c in "-_") for c in name):
        raise UsageError(f"{name!r} is no name for a dataset", fix="use up to 64 letters, digits, - and _")
    return name


def manifest_hash(data: dict[str, Any]) -> str:
    """Of all that decides what a reader gets; not of the time, the run or the counts that follow from it."""
    loose = ("hash", "made_at", "run_id", "counts", "name")
    text = json.dumps({k: v for k, v in data.items() if k not in loose}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:32]

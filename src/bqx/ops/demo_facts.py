"""What the demo page is written from; every figure was computed by the run, nothing is set by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from bqx.build.engine import BuildReport
    from bqx.build.project import Project
    from bqx.build.verify import Verification
    from bqx.market.findings import ImportReport
    from bqx.research.firstlight import FirstAnswer
    from bqx.store.contract import PartitionInfo


@dataclass(frozen=True)
class Phase:
    """A step of the run: wall-clock seconds, and what it did in words."""

    name: str
    seconds: float
    did: str


@dataclass(frozen=True)
class UnitTime:
    """Core seconds that a dataset's month last took to build, and the run that built it."""

    dataset: str
    ym: str
    seconds: float
    rows: int
    run_id: str


@dataclass
class Facts:
    """months: those built. reports: validation a pair. answer: None when `no_answer` says why there is none."""

    project: Project
    months: tuple[str, ...]
    reports: Sequence[ImportReport]
    build: BuildReport
    verification: Verification
    answer: FirstAnswer | None
    no_answer: str | None
    simulation: dict[str, Any] | None
    phases: list[Phase] = field(default_factory=list)

    def __post_init__(self) -> None:
        held = self.project.store.partitions()
        self.partitions: list[PartitionInfo] = [p for p in held if p.key.ym in self.months]
        self.datasets = [name for name in self.project.catalogue if any(p.key.dataset == name for p in self.partitions)]
        self.pairs = sorted({p.key.pair for p in self.partitions})
        self.units = _units(self.project, self.months)
        self.simulated = self.project.simulated

    @property
    def span(self) -> tuple[int, int]:
        """First and last built minute."""
        return min(p.first_minute for p in self.partitions), max(p.last_minute for p in self.partitions)

    @property
    def columns(self) -> int:
        """Distinct columns built, over the datasets."""
        return sum(len({c for p in self.of(name) for c in p.columns}) for name in self.datasets)

    @property
    def values(self) -> int:
        """Cells held: rows times columns."""
        return sum(p.rows * len(p.columns) for p in self.partitions)

    @property
    def non_null(self) -> int:
        return self.values - sum(sum(p.null_counts[c] for c in p.columns) for p in self.partitions)

    @property
    def bytes(self) -> int:
        return sum({piece.path: piece.bytes for p in self.partitions for piece in p.pieces}.values())

    def of(self, dataset: str) -> list[PartitionInfo]:
        return [p for p in self.partitions if p.key.dataset == dataset]

    def coverage(self) -> NDArray[np.float64]:
        """Share of non-NULL values, (pairs, datasets); NaN where nothing is built."""
        cells = np.zeros((len(self.pairs), len(self.datasets)))
        nulls = np.zeros_like(cells)
        for p in self.partitions:
            at = self.pairs.index(p.key.pair), self.datasets.index(p.key.dataset)
            cells[at] += p.rows * len(p.columns)
            nulls[at] += sum(p.null_counts[c] for c in p.columns)
        return np.divide(cells - nulls, cells, out=np.full_like(cells, np.nan), where=cells > 0)

    @property
    def verdict(self) -> str:
        """The sentence the demo ends with."""
        return self.answer.verdict() if self.answer else f"no answer: {self.no_answer}"


def _units(project: Project, months: Sequence[str]) -> list[UnitTime]:
    with project.manifest.connection() as con:
        rows = con.execute("SELECT dataset, ym, seconds, rows, run_id FROM unit WHERE status = 'built'").fetchall()
    return [UnitTime(*row) for row in rows if row[1] in months and row[2] is not None]


def sentence(words: str) -> str:
    """Words with a capital and a full stop."""
    return f"{words[:1].upper()}{words[1:]}."

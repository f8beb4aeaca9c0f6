"""Training rows of one pair: columns, the two targets of each horizon, and what intervals are grouped by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import UsageError
from bqx.research.target_set import target

if TYPE_CHECKING:
    from bqx.research.dataset import Sample

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


@dataclass(frozen=True)
class TrainingRows:
    """Rows in order of time. X (n, columns) float32, NaN for NULL; position in bars, minute since 1970, sigma in bps
    (n,); y3[h] and y4[h] (n,) float64, NaN where the label does not exist."""

    pair: str
    columns: tuple[str, ...]
    X: F4
    position: I8
    minute: I8
    sigma: F8
    y3: Mapping[int, F8]
    y4: Mapping[int, F8]

    def __post_init__(self) -> None:
        n = len(self.position)
        wrong = [v.shape for v in (self.minute, self.sigma, *self.y3.values(), *self.y4.values()) if v.shape != (n,)]
        if wrong or self.X.shape != (n, len(self.columns)) or set(self.y3) != set(self.y4):
            raise UsageError(f"X {self.X.shape}, {len(self.columns)} names, {n} positions do not fit together")
        if (np.diff(self.position) <= 0).any():
            raise UsageError("rows are not in order of time")

    def __len__(self) -> int:
        return len(self.position)

    @property
    def horizons(self) -> tuple[int, ...]:
        return tuple(sorted(self.y3))

    def take(self, rows: I8 | NDArray[np.bool_]) -> TrainingRows:
        return replace(
            self,
            X=self.X[rows],
            position=self.position[rows],
            minute=self.minute[rows],
            sigma=self.sigma[rows],
            y3={h: v[rows] for h, v in self.y3.items()},
            y4={h: v[rows] for h, v in self.y4.items()},
        )

    @classmethod
    def of_sample(cls, sample: Sample, horizons: Sequence[int]) -> TrainingRows:
        """All rows of a dataset's sample, in its order of columns."""
        labels = sample.labels
        return cls(
            sample.pair,
            tuple(c.name for c in sample.chosen),
            np.ascontiguousarray(sample.X, dtype=np.float32),
            labels.position,
            labels.minute,
            np.asarray(labels.values["sigma"], dtype=np.float64),
            {h: target(f"y3_{h}_{h}").value(labels) for h in horizons},
            {h: target(f"y4_{h}").value(labels) for h in horizons},
        )

"""Rows of one pair that its cells need, read once: features at test and training minutes, labels at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bqx.research.artefact import TrainingRows
from bqx.research.dataset import Dataset, Sample
from bqx.research.estimators.baselines import Climatology, minute_of_week, past_values
from bqx.research.labels import Labels
from bqx.research.split_plan import FoldSpan
from bqx.research.target_set import Target, targets_all
from bqx.research.training.phases import rotated

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


@dataclass(frozen=True)
class PairRows:
    """sample : features at every `every`-th minute and the training minutes of each horizon, columns in the order of
    `numbers` (row numbers of the candidates, rising). whole : labels of every minute before the seal. spacing : bars
    between training rows of each horizon.
    """

    sample: Sample
    whole: Labels
    numbers: tuple[int, ...]
    spacing: Mapping[int, int]

    @classmethod
    def read(
        cls, dataset: Dataset, pair: str, numbers: tuple[int, ...], spacing: Mapping[int, int], every: int
    ) -> PairRows:
        """Memory: minutes taken x columns x 4 bytes, and one month of all columns."""

        def wanted(at: I8) -> NDArray[np.bool_]:
            out = np.asarray(at % every == 0)
            for bars in set(spacing.values()):
                out |= rotated(at, bars)
            return out

        chosen = [dataset.candidates[k] for k in numbers]
        sample = dataset.sample(pair, every=every, chosen=chosen, span=(0, dataset.splits.end), where=wanted)
        return cls(sample, dataset.labels(pair), numbers, dict(spacing))

    @property
    def pair(self) -> str:
        return self.sample.pair

    def features(self, rows: I8, numbers: Sequence[int]) -> F4:
        """Features of `rows` of the sample, of some candidates. Shape (rows, numbers)."""
        at = np.searchsorted(self.numbers, numbers)
        return np.ascontiguousarray(self.sample.X[np.ix_(rows, at)])

    def training(self, horizon: int, span: tuple[int, int], numbers: Sequence[int]) -> TrainingRows:
        """Rows to learn from in positions [start, end): rotated phases, both targets there."""
        labels = self.sample.labels
        at = labels.position
        third, fourth = (t.value(labels) for t in target_pair(horizon))
        ok = rotated(at, self.spacing[horizon]) & (at >= span[0]) & (at < span[1])
        rows = np.flatnonzero(ok & np.isfinite(third) & np.isfinite(fourth))
        at_columns = np.searchsorted(self.numbers, numbers)
        return TrainingRows(
            self.pair,
            tuple(self.sample.chosen[k].name for k in at_columns),
            self.features(rows, numbers),
            at[rows],
            labels.minute[rows],
            np.asarray(labels.values["sigma"][rows], dtype=np.float64),
            {horizon: third[rows]},
            {horizon: fourth[rows]},
        )

    def testing(self, fold: FoldSpan) -> I8:
        """Rows to forecast: every `every`-th bar of the test block that has a volatility to scale by."""
        at = self.sample.position
        sigma = self.sample.labels.values["sigma"]
        return np.flatnonzero((at % self.sample.every == 0) & (at >= fold.start) & (at < fold.end) & (sigma > 0))

    def baselines(self, train: TrainingRows, horizon: int, rows: I8) -> dict[str, F8]:
        """Persistence, and the climatology of the training rows, at `rows` of the sample."""
        at = np.searchsorted(self.whole.position, self.sample.position[rows])
        clock = Climatology()
        Y = np.column_stack([train.y3[horizon], train.y4[horizon]])
        clock.fit(minute_of_week(train.minute), Y, train.position, horizon, 0)
        usual = clock.predict(minute_of_week(self.sample.labels.minute[rows]))
        k = self._horizons.index(horizon)
        past = [np.nan_to_num(p[at, k], nan=0.0) for p in self._past]  # 0, the random walk's, where nothing is known
        return {"persist3": past[0], "clim3": usual[:, 0], "persist4": past[1], "clim4": usual[:, 1]}

    @property
    def _horizons(self) -> tuple[int, ...]:
        return tuple(sorted(self.spacing))

    @cached_property
    def _past(self) -> tuple[F8, F8]:
        return past_values(self.whole, self._horizons)


def target_pair(horizon: int) -> tuple[Target, Target]:
    """y3 of window h, and y4."""
    every = targets_all()
    return every[f"y3_{horizon}_{horizon}"], every[f"y4_{horizon}"]

"""Forecasts without learning, or next to none: random walk, persistence, the mean of that minute of the week."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import ArtefactError, UsageError
from bqx.research.estimators.contract import Inputs, check_enough, check_rows
from bqx.research.estimators.packed import pack, unpack

if TYPE_CHECKING:
    from bqx.research.labels import Labels

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
WEEK_MINUTES = 7 * 1440
PRIOR_ROWS = 20.0


class RandomWalk:
    """Forecasts 0 of every target, whatever the columns say."""

    name: ClassVar[str] = "random_walk"
    inputs: ClassVar[Inputs] = "columns"

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.targets = 0

    def params(self) -> Mapping[str, Any]:
        return {}

    @property
    def trials(self) -> list[Mapping[str, Any]]:
        return [self.params()]

    def fit(self, X: F4 | F8, Y: F8, position: I8, horizon: int, embargo: int) -> Self:
        check_rows(X, Y, position)
        check_enough(X)
        self.targets = Y.shape[1]
        return self

    def predict(self, X: F4 | F8) -> F8:
        return np.zeros((len(X), self.targets))

    def files(self) -> dict[str, bytes]:
        return {"targets.npz": pack({"targets": np.array(self.targets)})}

    @classmethod
    def restore(cls, params: Mapping[str, Any], files: Mapping[str, bytes]) -> Self:
        made = cls(**params)
        made.targets = int(_held(files, "targets.npz", "targets")["targets"])
        return made


class Persistence(RandomWalk):
    """The target's own last known value, X[:, k] for target k; 0 where that is NULL. See :func:`past_values`."""

    name: ClassVar[str] = "persistence"
    inputs: ClassVar[Inputs] = "past"

    def fit(self, X: F4 | F8, Y: F8, position: I8, horizon: int, embargo: int) -> Self:
        if X.shape[1:] != Y.shape[1:]:
            raise UsageError(f"persistence needs the past value of each target: X {X.shape}, Y {Y.shape}")
        return super().fit(X, Y, position, horizon, embargo)

    def predict(self, X: F4 | F8) -> F8:
        past = np.asarray(X, dtype=np.float64)
        return np.where(np.isfinite(past), past, 0.0)


class Climatology:
    """Mean of the target in that part of the week, in training; X[:, 0] is the minute of the week, UTC.

    width : minutes of a part. A part of n rows shrinks to 0 by n / (n + 20), so that few rows say little.
    """

    name: ClassVar[str] = "climatology"
    inputs: ClassVar[Inputs] = "clock"

    def __init__(self, width: int = 15, seed: int = 0) -> None:
        if width < 1 or WEEK_MINUTES % width:
            raise UsageError(f"parts of {width} minutes do not fill a week", fix="for example 15, 30 or 60")
        self.width, self.seed = width, seed

    def params(self) -> Mapping[str, Any]:
        return {"width": self.width}

    @property
    def trials(self) -> list[Mapping[str, Any]]:
        return [self.params()]

    def fit(self, X: F4 | F8, Y: F8, position: I8, horizon: int, embargo: int) -> Self:
        check_rows(X, Y, position)
        check_enough(X)
        part, known = self._part(X)
        parts = WEEK_MINUTES // self.width
        count = np.bincount(part[known], minlength=parts)
        sums = [np.bincount(part[known], weights=Y[known, k], minlength=parts) for k in range(Y.shape[1])]
        self.mean: F8 = np.column_stack(sums) / (count + PRIOR_ROWS)[:, None]
        return self

    def predict(self, X: F4 | F8) -> F8:
        part, known = self._part(X)
        return np.where(known[:, None], self.mean[part], 0.0)

    def _part(self, X: F4 | F8) -> tuple[I8, NDArray[np.bool_]]:
        known = np.isfinite(X[:, 0])
        minute = np.where(known, X[:, 0], 0.0).astype(np.int64)
        return minute % WEEK_MINUTES // self.width, known

    def files(self) -> dict[str, bytes]:
        return {"climatology.npz": pack({"mean": self.mean})}

    @classmethod
    def restore(cls, params: Mapping[str, Any], files: Mapping[str, bytes]) -> Self:
        made = cls(**params)
        made.mean = _held(files, "climatology.npz", "mean")["mean"]
        return made


def minute_of_week(minute: I8) -> F4:
    """Input of climatology from minutes since 1970 (n,), UTC; Monday 00:00 is 0. Shape (n, 1), exact in float32."""
    return ((minute + 3 * 1440) % WEEK_MINUTES).astype(np.float32)[:, None]


def past_values(labels: Labels, horizons: Sequence[int]) -> tuple[F8, F8]:
    """What y3_h_h and y4_h were at t, of the h bars that end at t; (n, horizons) each, NULL within h bars of a start.

    `labels` must hold every open minute. Scaled by sigma(t), as the targets are.
    """
    if len(labels) and not (np.diff(labels.position) == 1).all():
        raise UsageError("past values need labels of every open minute", fix="use Dataset.labels(pair), all rows")
    values, n = labels.values, len(labels)
    wide = np.asarray(values["sigma"], dtype=np.float64)
    sigma = np.where(wide > 0, wide, np.nan)
    momentum = np.full((n, len(horizons)), np.nan)
    change = np.full((n, len(horizons)), np.nan)
    for k, h in enumerate(horizons):
        momentum[:, k] = values[f"m_{h}"] / sigma
        rows = np.flatnonzero(labels.seg_age[h:] >= h) + h
        change[rows, k] = values[f"r_{h}"][rows - h] / (sigma[rows] * math.sqrt(h))
    return momentum, change


def _held(files: Mapping[str, bytes], name: str, *arrays: str) -> dict[str, NDArray[Any]]:
    if name not in files:
        raise ArtefactError(f"{name} is absent")
    return unpack(files[name], name, *arrays)

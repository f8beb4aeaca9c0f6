"""What every forecaster does: learn several targets at once from rows in order of time, and say what it tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import UsageError

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
Inputs = Literal["columns", "past", "clock"]


@runtime_checkable
class Forecaster(Protocol):
    """Fit on training rows alone; the forecast of a random walk is 0, so there is no intercept to learn.

    X (n, columns) float32 or float64 with NaN for NULL, Y (n, targets) without NaN, position (n,) in bars, rising.
    Equal inputs and `seed` give equal bits on any number of workers, and a row alone what it gets among others.
    `trials` are the parameter sets tried inside.

    inputs : what X must be: any `columns`; the `past` value of each target (baselines.past_values); the `clock`,
    minutes of the week (baselines.minute_of_week).
    """

    name: ClassVar[str]
    inputs: ClassVar[Inputs]

    def params(self) -> Mapping[str, Any]:
        """What it was constructed with but for the seed, JSON values."""

    def fit(self, X: F4 | F8, Y: F8, position: I8, horizon: int, embargo: int) -> Self:
        """Learn; inner choices are made on a purged part of these rows."""

    def predict(self, X: F4 | F8) -> F8:
        """Forecasts (n, targets), finite also where X is NULL."""

    @property
    def trials(self) -> list[Mapping[str, Any]]:
        """Parameter sets that `fit` compared, for the ledger."""

    def files(self) -> dict[str, bytes]:
        """What was learnt, by file name, in formats that cannot run code: no pickle. Equal fits give equal bytes."""

    @classmethod
    def restore(cls, params: Mapping[str, Any], files: Mapping[str, bytes]) -> Self:
        """The fitted forecaster again, to the last bit; ArtefactError when the files are not its own."""


def check_rows(X: F4 | F8, Y: F8, position: I8) -> None:
    """UsageError for shapes that do not fit, labels that are NULL or rows out of order."""
    if X.ndim != 2 or Y.ndim != 2 or len(X) != len(Y) or len(X) != len(position):
        raise UsageError(f"X {X.shape}, Y {Y.shape}, position {position.shape} do not fit together")
    if not np.isfinite(Y).all():
        raise UsageError(f"{int((~np.isfinite(Y)).sum())} labels are NULL", fix="drop these rows first")
    if (np.diff(position) < 0).any():
        raise UsageError("rows are not in order of time")


def check_enough(X: F4 | F8, least: int = 100) -> None:
    """CheckError below `least` rows."""
    from bqx.base.errors import CheckError

    if len(X) < least:
        raise CheckError(f"{len(X)} training rows, {least} are the least", fix="give a longer history")

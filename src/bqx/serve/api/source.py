"""Where the features of a prediction come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bqx.research.candidates import Candidate

F4 = NDArray[np.float32]


@dataclass(frozen=True)
class Row:
    """Candidates of one pair at one open minute.

    values : float32 (columns,), NaN for NULL. minute : label of the bar. last_bar : label of the newest real bar at or
    before it. sigma : EWMA deviation through t - 1, bps; cost : a round trip, bps; NaN for NULL. left : open minutes of
    the segment after it.
    """

    values: F4
    minute: int
    last_bar: int
    sigma: float
    cost: float
    left: int


class FeatureSource(Protocol):
    """Features as they would be built: equal, bit for bit, to those a model is trained on."""

    name: str
    """`store` or `live`."""

    def stamp(self) -> object:
        """Cheap; another value when rows may have come or changed."""

    def newest(self, pair: str, columns: Sequence[Candidate]) -> int | None:
        """The last minute all `columns` have, None when there is none."""

    def row(self, pair: str, minute: int, columns: Sequence[Candidate]) -> Row:
        """Candidates at an open minute; NoPrediction (`no_row`) where there is none."""

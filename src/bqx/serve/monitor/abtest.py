"""Two variants side by side: who gets which, and when one may be called better."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bqx.serve.monitor.sequential import PLANNED, Sequence, mean_sequence

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
Variant = Literal["A", "B"]


def variant(salt: str, day: int, pair: str) -> Variant:
    """The variant that serves a pair on a trade day: half of all (day, pair) each, the same for whoever asks.

    Not by request: the requests of a pair and day see the same market, so they are one observation.

    >>> variant("trial-1", 19_800, "eurusd"), variant("trial-1", 19_800, "eurusd")
    ('B', 'B')
    """
    word = hashlib.sha256(f"{salt}\0{day}\0{pair}".encode()).digest()
    return "A" if word[0] < 128 else "B"


def daily_differences(salt: str, outcome: Mapping[str, F8], days: I8) -> F8:
    """Mean outcome of A's pairs less that of B's, a day each; days on which one had no pair are left out.

    outcome : pair -> (days,), NaN where it had none; the larger the better. Pairs share currencies, so the difference
    of a day is one observation, whatever the number of pairs.
    """
    out = []
    for k, day in enumerate(days.tolist()):
        sides: dict[Variant, list[float]] = {"A": [], "B": []}
        for pair, values in outcome.items():
            if np.isfinite(values[k]):
                sides[variant(salt, day, pair)].append(float(values[k]))
        if sides["A"] and sides["B"]:
            out.append(sum(sides["A"]) / len(sides["A"]) - sum(sides["B"]) / len(sides["B"]))
    return np.array(out, dtype=np.float64)


def verdict(salt: str, outcome: Mapping[str, F8], days: I8, *, alpha: float = 0.05, planned: int = PLANNED) -> Sequence:
    """A against B, looked at as often as one likes: `above` when A is better, `below` when B is."""
    return mean_sequence(daily_differences(salt, outcome, days), alpha=alpha, planned=planned)

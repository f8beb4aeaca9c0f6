"""Estimates from trailing bars, made at fixed calendar points and kept as artefacts.

A fit is a function of the bars it sees and of nothing else, so one that is kept and one that is made again have the
same bits; keeping it saves its time and lets people look at it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from bqx.features.refresh import Every
from bqx.features.support import Support
from bqx.market.calendar import Calendar

if TYPE_CHECKING:
    from bqx.features.streams import Streams

F8 = NDArray[np.float64]
Make = Callable[["Streams", int, NDArray[np.int64]], F8]


@dataclass(frozen=True)
class Fit:
    """name : unique, as `hmm_1m_rate`. parameters : names of what is estimated. every : when. sees : what the estimate
    sees at its point. everyone : it uses the bars of all pairs. make(streams, row, lanes) : the estimates at the point
    in `row` for some lanes, float64 (lanes, parameters), NaN where the bars do not suffice; it may look at rows before
    `row` only (at `row` too, when `sees` says so).
    """

    name: str
    dataset: str
    parameters: tuple[str, ...]
    every: Every
    sees: Support
    make: Make = field(compare=False)
    everyone: bool = False
    summary: str = ""

    def earliest(self, point: int, calendar: Calendar) -> int:
        """Segment start from which bars must be loaded for the fit at a point."""
        return calendar.segment_start(self.sees.earliest(point, calendar))


@dataclass(frozen=True, slots=True)
class Artefact:
    """One fit of one pair. values : (parameters,). seen_from : first minute it could see. seconds : it took."""

    fit: str
    pair: str
    point: int
    seen_from: int
    values: F8
    seconds: float


class Shelf(Protocol):
    """Where fits are kept."""

    def get(self, fit: Fit, pair: str, point: int) -> F8 | None:
        """The estimates, when they were made from the bars and the code of today."""
        ...

    def put(self, fit: Fit, artefacts: list[Artefact]) -> None:
        """Keep new ones."""
        ...


class Kept:
    """A shelf in memory, for one set of bars. `made` : all that was put here."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, int], F8] = {}
        self.made: list[Artefact] = []

    def get(self, fit: Fit, pair: str, point: int) -> F8 | None:
        return self._known.get((fit.name, pair, point))

    def put(self, fit: Fit, artefacts: list[Artefact]) -> None:
        for one in artefacts:
            self._known[one.fit, one.pair, one.point] = one.values
        self.made.extend(artefacts)


def fitted(fit: Fit, streams: Streams, row: int) -> F8:
    """Estimates in force from the point in `row` on, float64 (pairs, parameters): taken from the shelf or made."""
    panel, point = streams.panel, int(streams.panel.grid.minute[row])
    found = [streams.fits.get(fit, pair, point) for pair in panel.pairs]
    lanes = np.array([j for j, known in enumerate(found) if known is None], dtype=np.int64)
    if len(lanes):
        if fit.everyone:
            lanes = np.arange(len(panel.pairs))
        clock = time.thread_time()
        values = fit.make(streams, row, lanes)
        seconds = (time.thread_time() - clock) / len(lanes)  # of this core: other work does not count
        seen = fit.earliest(point, streams.calendar)
        made = []
        for j, estimate in zip(lanes.tolist(), values, strict=True):
            found[j] = estimate
            made.append(Artefact(fit.name, panel.pairs[j], point, seen, estimate, seconds))
        streams.fits.put(fit, made)
    return np.array([known for known in found if known is not None]).reshape(len(found), len(fit.parameters))

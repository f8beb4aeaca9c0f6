"""Residuals of the 8 relations in a domain, and what is made of a residual."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bqx.features.families.error_correction_sister import sisters
from bqx.features.families.error_correction_support import MAJORS, bridge, lanes_of, legs, others
from bqx.features.kernels.adjustment import adjustment, nearer
from bqx.features.kernels.autoregression import half_life_across, standardised_across
from bqx.features.kernels.hourly_line import residuals
from bqx.features.kernels.johansen import relation
from bqx.features.kernels.lags import lag_inside
from bqx.features.kernels.members import member_mean, parity, parity_of_levels
from bqx.features.kernels.smooth import smooth
from bqx.features.kernels.spaced import bend
from bqx.features.kernels.splice import splice, stretches
from bqx.features.refresh import HOUR
from bqx.features.streams import Domain, Streams
from bqx.features.support import needed

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
Members = tuple[I8, F8]

WINDOW = 60
"""Look-back of the momentum that stands for the level in the bqx domain."""
LINE, VECTOR = 2880, 7200
"""Bars of the regressions and of the relation of the majors."""
SMOOTH = 1440
MEMORY = 1440
"""Bars of the mean that `self` is measured from, and of what is made of a residual."""
STEP = 20


def _triangles(pairs: tuple[str, ...], thirds: list[tuple[str, ...]]) -> Members:
    """Legs of each pair's triangles: lanes and signs (pairs, triangles, 2)."""
    found = [[leg for third in row for leg in legs(pair, third)] for pair, row in zip(pairs, thirds, strict=True)]
    lanes = lanes_of(pairs, [[name for name, _ in row] for row in found])
    signs = np.array([[sign for _, sign in row] for row in found])
    shape = (len(pairs), len(thirds[0]), 2)
    return lanes.reshape(shape), signs.reshape(shape)


def _groups(pairs: tuple[str, ...], quote: bool, own: bool) -> Members:
    """The 6 others that hold the pair's base (quote), turned as it is, in the order of their names; `own` : and it."""
    rows = []
    for pair in pairs:
        found = [legs(pair, third)[int(quote)] for third in others(pair)] + ([(pair, 1.0)] if own else [])
        rows.append(sorted(found))
    return lanes_of(pairs, [[name for name, _ in row] for row in rows]), np.array([[s for _, s in row] for row in rows])


class Relations:
    """Residuals of one domain in bps, each (n, pairs), made when first asked for."""

    def __init__(self, streams: Streams, domain: Domain) -> None:
        self.streams, self.domain = streams, domain
        self.pairs, self.age = streams.panel.pairs, streams.panel.grid.seg_age

    @cached_property
    def level(self) -> F8:
        """What a relation is about: the log price of each segment, or M_60."""
        return self.streams.rate_close if self.domain == "rate" else self.streams.oriented(WINDOW)

    @cached_property
    def ends(self) -> F8:
        return self.streams.rate_ends if self.domain == "rate" else np.empty((0, len(self.pairs)))

    def of(self, names: Iterable[str]) -> dict[str, F8]:
        """Residuals by name of the relation."""
        wanted = set(names)
        found = {name: self._parity(name) for name in wanted & {"tri1", "trim"}}
        if "self" in wanted:
            found["self"] = self._own()
        if "usd" in wanted:
            found["usd"] = self._majors()
        if drawn := wanted & {"egb", "egq", "sis", "cur"}:
            found |= self._drawn(drawn)
        return found

    def _parity(self, name: str) -> F8:
        thirds = [(bridge(pair),) if name == "tri1" else others(pair) for pair in self.pairs]
        lanes, signs = _triangles(self.pairs, thirds)
        if self.domain == "rate":
            return parity(self.streams.panel.close, lanes, signs)
        return parity_of_levels(self.level, lanes, signs)

    def _own(self) -> F8:
        need, burn = smooth_reach()
        alpha, segment = 2.0 / (SMOOTH + 1), self.streams.segment
        return self.level - smooth(self.level, self.age, segment, self.ends, alpha, SMOOTH, need, burn)

    def _parts(self, back: int) -> Iterable[tuple[F8, int, int, int]]:
        """Each segment's levels with up to `back` earlier rows, in its coordinates; rows before it, its start, stop."""
        for first, start, stop in stretches(self.age, back):
            yield splice(self.level, self.streams.segment, self.ends, first, start, stop), start - first, start, stop

    def _majors(self) -> F8:
        """One relation for the panel: the same in every lane."""
        out = np.full(self.level.shape, np.nan)
        lanes = lanes_of(self.pairs, [list(MAJORS)])[0]
        if (lanes >= 0).all():
            one = np.empty(len(out))
            for part, skip, start, stop in self._parts(VECTOR - 1):
                levels = np.ascontiguousarray(part[:, lanes])
                relation(levels, skip, VECTOR, needed(VECTOR), HOUR, one[start:stop])
            out[:] = one[:, None]
        return out

    def _drawn(self, wanted: set[str]) -> dict[str, F8]:
        """Residuals of hourly regressions."""
        out = {name: np.empty(self.level.shape) for name in wanted}
        base, quote = _groups(self.pairs, False, False), _groups(self.pairs, True, False)
        whole = _groups(self.pairs, False, True), _groups(self.pairs, True, True)
        need = needed(LINE)
        latest, chosen = sisters(self.streams) if "sis" in wanted else (None, None)
        for part, skip, start, stop in self._parts(LINE - 1):
            for name, group in (("egb", base), ("egq", quote)):
                if name in wanted:
                    residuals(part, member_mean(part, *group), skip, 0, LINE, need, HOUR, out[name][start:stop])
            if "cur" in wanted:  # turned as the pair, the quote currency's strength has its sign reversed: so is beta
                strength, other = member_mean(part, *whole[0]), -member_mean(part, *whole[1])
                residuals(strength, other, skip, 0, LINE, need, HOUR, out["cur"][start:stop])
            if latest is not None and chosen is not None:
                self._of_sisters(part, skip, start, stop, latest, chosen, out["sis"])
        return out

    def _of_sisters(self, part: F8, skip: int, start: int, stop: int, latest: I8, chosen: I8, out: F8) -> None:
        """The rows of a segment that see one month's sisters at a time."""
        months = np.unique(latest[latest >= 0])
        edges = np.flatnonzero(np.diff(latest[start:stop], prepend=latest[start] - 1)) + start
        for begin, end in zip(edges.tolist(), [*edges[1:].tolist(), stop], strict=True):
            if latest[begin] < 0:
                out[begin:end] = np.nan
                continue
            lanes = chosen[np.searchsorted(months, latest[begin])]
            rows = slice(max(0, begin - start + skip - LINE + 1), end - start + skip)
            own = part[rows]
            other = np.where(lanes >= 0, own[:, lanes], np.nan)
            before = begin - start + skip - rows.start
            residuals(own, other, before, begin - start, LINE, needed(LINE), HOUR, out[begin:end])


def smooth_reach() -> tuple[int, int]:
    """Values an EMA of `SMOOTH` must have taken in, and its head start."""
    return 5 * SMOOTH, 10 * SMOOTH


def measure(metric: str, error: F8, level: F8, age: NDArray[np.int32]) -> F8:
    """A column made of a residual."""
    if metric == "ect":
        return error
    if metric == "z":
        return standardised_across(error, age, MEMORY, needed(MEMORY))
    if metric == "hl":
        return half_life_across(error, age, MEMORY, needed(MEMORY))
    if metric == "alpha":
        return adjustment(level, error, age, MEMORY, needed(MEMORY))
    if metric == "vel":
        return lag_inside(error, age, STEP)
    return bend(error, age, STEP) if metric == "acc" else nearer(error, age, STEP)

"""What live copies have in place of functions that look estimates up, or that put segments together."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.features.families import cross_sectional_pc1, fibonacci_series, hmm_regime_states_fit
from bqx.features.families import error_correction_series as relations
from bqx.features.families.error_correction_sister import SISTER
from bqx.features.families.error_correction_support import MAJORS, lanes_of
from bqx.features.families.extensions.volatility_surface_garch import GARCH
from bqx.features.families.time import _angle as angles_of
from bqx.features.fits import Fit, fitted
from bqx.features.kernels.members import member_mean
from bqx.features.live.block import Block
from bqx.features.live.copies import override
from bqx.features.live.steppers.lags import SEGMENTS
from bqx.features.live.steppers.relations import Drawn, Relation, Sides
from bqx.features.live.steppers.swings import RollingAcross
from bqx.features.live.streams import LiveStreams
from bqx.features.live.tape import Stepper, active
from bqx.features.refresh import HOUR, Every, point_before
from bqx.features.streams import Domain
from bqx.features.support import Support, needed
from bqx.market.calendar import DAY, month_of
from bqx.market.pairs import PAIRS

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]


def first_minute(block: Block) -> int:
    """The minute at which live began."""
    calendar = block.calendar
    return calendar.at_ordinal(calendar.ordinal(int(block.panel.grid.minute[0])) - block.row)


def points_of(block: Block, every: Every) -> list[tuple[int, int]]:
    """Rows of the block (counted in it) that are calendar points, and their minutes. Every point is the first minute
    of a trade day, or of a month."""
    grid = block.panel.grid
    if every == "month":
        first, last = int(grid.minute[0]), int(grid.minute[-1])
        before_it = first - 1
        if grid.seg_age[0] == 0:
            before_it = block.calendar.at_ordinal(block.calendar.ordinal(first) - 1)
        if before_it // DAY == last // DAY or month_of(before_it) == month_of(last):
            return []
        months = grid.minute.astype("datetime64[m]").astype("datetime64[M]")
        rows = np.flatnonzero(np.diff(months) != np.timedelta64(0, "M")) + 1
        found = [0] if month_of(before_it) != month_of(first) else []
        return [(i, int(grid.minute[i])) for i in [*found, *rows.tolist()]]
    rows = np.flatnonzero(grid.seg_age % DAY == 0)
    if every == "week":
        rows = rows[grid.seg_age[rows] == 0]
    minutes = [(i, int(grid.minute[i])) for i in rows.tolist()]
    return [(i, m) for i, m in minutes if every != "week" or point_before(m, every, block.calendar) == m]


def estimate(fit: Fit, streams: LiveStreams, point: int, first: int) -> F8 | None:
    """Estimates (pairs, parameters) at a point, one of the block's minutes: kept ones, or made from the past. None
    where neither all are kept nor the past holds all bars from minute `first` on, or all there ever were."""
    past, pairs = streams.past, streams.panel.pairs
    kept = [past.fits.get(fit, pair, point) for pair in pairs]
    found = [values for values in kept if values is not None]
    if len(found) == len(pairs):
        return np.array(found).reshape(len(pairs), len(fit.parameters))
    if past.begin is None or (first < past.begin and not (streams.panel.first >= past.begin).all()):
        return None
    batch = past.streams(max(first, past.begin))
    return fitted(fit, batch, batch.panel.grid.index(point))


class InForce(Stepper):
    """values : the estimates in force (pairs, parameters). since : their point, -1 where there are none."""

    def __init__(self, fit: Fit, streams: LiveStreams) -> None:
        self.values = np.full((len(streams.panel.pairs), len(fit.parameters)), np.nan)
        self.since = np.full(1, -1, dtype=np.int64)

    def __call__(self, block: Block, fit: Fit, streams: LiveStreams) -> tuple[F8, I4]:
        """Estimates (points, pairs, parameters) and which of them rules at each row, -1 for none."""
        found, which = [self.values.copy()], np.full(len(block), 0 if self.since[0] >= 0 else -1, dtype=np.int32)
        for i, minute in points_of(block, fit.every):
            made = estimate(fit, streams, minute, fit.earliest(minute, block.calendar))
            which[i:] = -1 if made is None else len(found)
            self.since[0] = -1 if made is None else minute
            if made is not None:
                found.append(made)
                self.values[...] = made
        return np.array(found), which


@override("hmm_regime_states_fit.in_force")
def in_force(streams: LiveStreams, fit: Fit) -> tuple[F8, I4]:
    original = next(f for f in hmm_regime_states_fit.FITS.values() if f.name == fit.name)
    out: tuple[F8, I4] = active().call(f"fit {fit.name}", (original, streams), {}, InForce)
    return out


@override("volatility_surface_garch.in_force")
def garch_in_force(streams: LiveStreams, fit: Fit) -> tuple[F8, I4]:
    out: tuple[F8, I4] = active().call(f"fit {fit.name}", (GARCH, streams), {}, InForce)
    return out


@override("cross_sectional_pc1.loadings")
def loadings(streams: LiveStreams, domain: Domain) -> F8:
    fit = cross_sectional_pc1.PC1[domain]
    values, which = active().call(f"fit {fit.name}", (fit, streams), {}, InForce)
    out = np.full(streams.panel.shape, np.nan)
    for k in np.unique(which[which >= 0]).tolist():
        out[which == k] = values[k, :, 0]
    return out


class Sisters(Stepper):
    """lanes : of each lane's sister, -1 without one."""

    def __init__(self, streams: LiveStreams) -> None:
        self.lanes = np.full(len(streams.panel.pairs), -1, dtype=np.int64)

    def __call__(self, block: Block, streams: LiveStreams) -> I8:
        """The sisters in force at each row, (rows, pairs)."""
        out = np.empty(streams.panel.shape, dtype=np.int64)
        out[:] = self.lanes
        for i, minute in points_of(block, SISTER.every):
            made = estimate(SISTER, streams, minute, SISTER.earliest(minute, block.calendar))
            place = {name: k for k, name in enumerate(streams.panel.pairs)}
            chosen = [np.nan] * len(place) if made is None else made[:, 0].tolist()
            self.lanes[:] = [place[PAIRS[int(c)]] if c == c else -1 for c in chosen]
            out[i:] = self.lanes
        return out


@lru_cache(maxsize=8)
def _sides(pairs: tuple[str, ...]) -> dict[str, Sides]:
    """Both sides of each regression but that on the sister, from levels."""
    base, quote = relations._groups(pairs, False, False), relations._groups(pairs, True, False)
    whole = relations._groups(pairs, False, True), relations._groups(pairs, True, True)
    return {
        "egb": lambda x: (x, member_mean(x, *base)),
        "egq": lambda x: (x, member_mean(x, *quote)),
        "cur": lambda x: (member_mean(x, *whole[0]), -member_mean(x, *whole[1])),
    }


class Regressions(Drawn):
    """All regressions of a domain."""

    def __init__(self, names: tuple[str, ...], level: F8, ends: F8, streams: LiveStreams) -> None:
        sides = [side for name, side in _sides(streams.panel.pairs).items() if name in names]
        rule = (relations.LINE, needed(relations.LINE), HOUR)
        super().__init__(level, ends, sides, "sis" in names, *rule)

    def __call__(  # type: ignore[override]
        self, block: Block, names: tuple[str, ...], level: F8, ends: F8, streams: LiveStreams, lanes: I8 | None = None
    ) -> dict[str, F8]:
        known = {name: side for name, side in _sides(streams.panel.pairs).items() if name in names}
        found = super().__call__(block, level, ends, list(known.values()), lanes, relations.LINE)
        return dict(zip([*known, *(["sis"] if lanes is not None else [])], found, strict=True))


@override("error_correction_series.Relations._drawn")
def drawn(self: Any, wanted: set[str]) -> dict[str, F8]:
    names, streams = tuple(sorted(wanted)), self.streams
    lanes = active().call("sisters", (streams,), {}, Sisters) if "sis" in wanted else None
    args = (names, self.level, self.ends, streams)
    out: dict[str, F8] = active().call("regressions", args, {"lanes": lanes}, _regressions)
    return out


def _regressions(
    names: tuple[str, ...], level: F8, ends: F8, streams: LiveStreams, lanes: I8 | None = None
) -> Regressions:
    return Regressions(names, level, ends, streams)


@override("error_correction_series.Relations._majors")
def majors(self: Any) -> F8:
    lanes = lanes_of(self.pairs, [list(MAJORS)])[0]
    if (lanes < 0).any():
        return np.full(self.level.shape, np.nan)
    level = np.ascontiguousarray(self.level[:, lanes])
    ends = np.ascontiguousarray(self.ends[:, lanes]) if len(self.ends) else np.empty((0, len(lanes)))
    rule = (relations.VECTOR, needed(relations.VECTOR), HOUR)
    one = active().call("majors", (level, ends, *rule), {}, Relation)
    return np.repeat(one[:, None], self.level.shape[1], axis=1)


@override("fibonacci_series.Legs._rolling_across")
def rolling_across(self: Any) -> tuple[F8, ...]:
    s, window = self._stream, fibonacci_series.ACROSS
    out: tuple[F8, ...] = active().call("rolling", (s.high, s.low, s.ends, window, needed(window)), {}, RollingAcross)
    return out


class Complete(Stepper):
    """enough : of segments `number`, `number` + 1, ... the first `known`: whether live began early enough for them."""

    def __init__(self, streams: LiveStreams, seen: Support) -> None:
        self.enough = np.zeros(SEGMENTS, dtype=np.bool_)
        self.place = np.full(2, -1, dtype=np.int64)

    def __call__(self, block: Block, streams: LiveStreams, seen: Support) -> NDArray[np.bool_]:
        begin, many = first_minute(block), len(block.opens)
        if self.place[0] != block.number or self.place[1] < many:
            calendar = block.calendar
            base = calendar.ordinal(int(block.panel.grid.minute[0])) - block.row
            opens = [calendar.at_ordinal(base + int(r)) for r in block.opens]
            self.enough[:many] = [seen.earliest(at, calendar) >= begin for at in opens]
            self.place[:] = block.number, many
        whole = streams.panel.first >= begin
        return np.asarray(self.enough[:many, None] | whole[None, :])


@override("hmm_regime_bocpd.complete")
def complete(streams: LiveStreams, seen: Support) -> NDArray[np.bool_]:
    """Of the segments that start at `block.opens`: whether live began early enough for their values."""
    out: NDArray[np.bool_] = active().call("complete", (streams, seen), {}, Complete)
    return out


@lru_cache(maxsize=64)
def _arranged(values: bytes, shape: tuple[int, ...]) -> F8:
    return hmm_regime_states_fit.models(np.frombuffer(values).reshape(shape))


@override("hmm_regime_states_fit.models")
def models(values: F8) -> F8:
    """Models change once a week."""
    return _arranged(values.tobytes(), values.shape)


@lru_cache(maxsize=8)
def _angles(period: int, cosine: bool) -> F8:
    return angles_of(np.arange(period, dtype=np.int64), period, cosine)


@override("time._angle")
def angle(position: I4 | I8, period: int, cosine: bool) -> F8:
    return np.asarray(_angles(period, cosine)[position])

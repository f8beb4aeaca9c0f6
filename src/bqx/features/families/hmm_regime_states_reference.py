"""hmm_regime, states, the slow way: one pair's chain walked in logarithms, kept as long as its streams."""

from __future__ import annotations

import math
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from bqx.features.families.hmm_regime_states_fit import BURN, FIT_BARS, FITS, Scale
from bqx.features.fits import fitted
from bqx.features.refresh import latest_points
from bqx.features.streams import Domain, Streams

F8 = NDArray[np.float64]
Walk = dict[str, F8]

_KEPT: WeakKeyDictionary[Streams, dict[object, Walk]] = WeakKeyDictionary()


def observed_reference(change: list[float], age: int) -> tuple[float, float] | None:
    """ln RV_15 and efficiency_15 of the last changes; None where they are not defined."""
    last = change[-15:]
    path = math.fsum(abs(v) for v in last)
    if age < 14 or len(last) < 15 or math.isnan(path):
        return None
    squares = math.fsum(v * v for v in last if abs(v) > 1e-9)
    net = abs(math.fsum(last))
    if squares <= 0.0 or path / 15.0 <= max(1e-9, 1e-12 * net / 15.0):
        return None
    return 0.5 * math.log(squares), min(net / path, 1.0)


def _log_sum_reference(terms: list[float]) -> float:
    top = max(terms)
    return top + math.log(math.fsum(math.exp(t - top) for t in terms))


def walk_reference(
    values: F8, seen: list[tuple[float, float] | None], start: int, scale: Scale
) -> list[dict[str, float] | None]:
    """The filter over the bars `seen` (of the scale) with the parameters of a fit; outputs from bar `start` on, None
    where a bar has no value."""
    mean, var = values[:6].reshape(2, 3), values[6:12].reshape(2, 3)
    move = values[12:21].reshape(3, 3)
    log_p = [math.log(1.0 / 3.0)] * 3
    code, length, taken = -1, 0, 0
    out: list[dict[str, float] | None] = []
    for k, o in enumerate(seen):
        log_p = [_log_sum_reference([log_p[i] + math.log(move[i, j]) for i in range(3)]) for j in range(3)]
        found = None
        if o is not None:
            joint = []
            for j in range(3):
                gaps = [(o[d] - mean[d, j]) ** 2 / var[d, j] + math.log(2 * math.pi * var[d, j]) for d in range(2)]
                joint.append(log_p[j] - 0.5 * (gaps[0] + gaps[1]))
            density = _log_sum_reference(joint)
            log_p = [v - density for v in joint]
            p = [math.exp(v) for v in log_p]
            best = p.index(max(p))
            length, code, taken = (length + 1 if best == code else 1), best, taken + 1
            leave = [math.fsum(move[i, j] for j in range(3) if j != i) for i in range(3)]
            found = {
                "p_calm": p[0],
                "p_trend": p[1],
                "p_shock": p[2],
                "state": float(best),
                "dur": math.log(1 + min(length, scale.cap)) if taken > scale.cap else math.nan,
                "p_switch": math.fsum(p[i] * leave[i] for i in range(3)),
                "entropy": -math.fsum(p[i] * log_p[i] for i in range(3)) / math.log(3),
                "exp_dur": math.log(math.fsum(p[i] / leave[i] for i in range(3))),
                "nll": -density,
            }
            if taken < scale.need:
                found = None
        if k >= start:
            out.append(found)
    return out


def _segment_reference(streams: Streams, domain: Domain, scale: Scale, start: int, stop: int, pair: int) -> Walk:
    """Outputs at rows start .. stop - 1 of one pair, a whole segment, each held between bars."""
    grid = streams.panel.grid
    change = streams.stream(domain).change[:, pair].tolist()
    point = int(latest_points(grid, "week", streams.calendar)[start])
    names = ("p_calm", "p_trend", "p_shock", "state", "dur", "p_switch", "entropy", "exp_dur", "nll", "largest")
    out = {name: np.full(stop - start, np.nan) for name in names}
    if point < 0 or (point < FIT_BARS and (streams.panel.first < grid.minute[0]).any()):
        return out
    values = fitted(FITS[scale.name, domain], streams, point)[pair]
    rows = [r for r in range(max(0, start - BURN), stop) if grid.minute[r] % scale.every == scale.every - 1]
    before = sum(r < start for r in rows)
    seen = [observed_reference(change[max(0, r - 14) : r + 1], int(grid.seg_age[r])) for r in rows]
    found = walk_reference(values, seen, before, scale)
    ends = [*rows[before + 1 :], stop]
    for row, end, one in zip(rows[before:], ends, found, strict=True):
        if one is not None:
            for name, value in one.items():
                out[name][row - start : end - start] = value
            out["largest"][row - start : end - start] = max(one["p_calm"], one["p_trend"], one["p_shock"])
    return out


def state_reference(streams: Streams, kind: str, scale: Scale, domain: Domain, row: int, pair: int) -> float:
    """One value of `kind` (a column's name without scale and domain)."""
    age = streams.panel.grid.seg_age
    start = row - int(age[row])
    stop = start + int(np.argmax(np.r_[age[start + 1 :] == 0, True])) + 1
    kept = _KEPT.setdefault(streams, {})
    key = (domain, scale.name, start, pair)
    if key not in kept:
        kept[key] = _segment_reference(streams, domain, scale, start, stop, pair)
    if kind != "persist":
        return float(kept[key][kind][row - start])
    recent = [v for v in kept[key]["largest"][: row - start + 1][-60:].tolist() if v == v]
    return math.fsum(recent) / len(recent)

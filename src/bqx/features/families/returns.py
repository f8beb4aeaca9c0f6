"""returns: changes of a stream over 14 horizons, raw and in units of volatility. Past returns only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import Column, Compute, Dataset, Domain, Reference, expand
from bqx.features.kernels.lags import lag_across, lag_inside, lag_plain
from bqx.features.kernels.spread import deviation_across
from bqx.features.streams import (
    HALF_LIFE,
    PRICE,
    SIGMA,
    SIGMA_BURN,
    WINDOWS,
    Streams,
    momentum_scale,
    momentum_support,
)
from bqx.features.support import All, Lag, Policy, Support, Window, needed

F8 = NDArray[np.float64]

HORIZONS = (1, 2, 3, 5, 10, 15, 30, 45, 60, 75, 120, 240, 480, 1440)
LONGEST_INSIDE = 240
UNMOVED = "a quote that ends where it began gives exactly 0"


def _policy(h: int) -> Policy:
    return "SEG" if h <= LONGEST_INSIDE else "XGAP"


def _change(domain: Domain, h: int) -> Support:
    if domain == "rate":
        return Lag(PRICE, h, _policy(h), gaps=True)
    return Lag(momentum_support(WINDOWS[0]), h, _policy(h))


def deviation_window(h: int) -> int:
    """Bars over which the deviation of a BQX change is taken."""
    return max(480, 4 * h)


def _columns(domain: Domain, standard: bool) -> tuple[Column, ...]:
    out = []
    for name, row in expand("retz_{h}" if standard else "ret_{h}", h=HORIZONS):
        h = int(row["h"])
        change = _change(domain, h)
        if not standard:
            support, unit, formula = change, "bps", f"y(t) - y(t-{h})"
        elif domain == "rate":
            support, unit = All((change, SIGMA)), "sd"
            formula = f"ret_{h} / (sigma sqrt({h})), sigma^2 = EWMA of dy^2, half-life 120, through t-1"
        else:
            n = deviation_window(h)
            support, unit, formula = (
                All((change, Window(change, n, "XGAP"))),
                "sd",
                f"ret_{h} / sd_{n}(ret_{h})",
            )
        tags = frozenset({"zero_ok"}) | (frozenset({"may_be_undefined"}) if standard else frozenset())
        why = UNMOVED + ("; NULL where the deviation is 0" if standard else "")
        out.append(Column(name, unit, formula, support, _policy(h), tags=tags, why_tagged=why))
    return tuple(out)


def _changes(domain: Domain, streams: Streams, h: int) -> F8:
    age = streams.panel.grid.seg_age
    if domain == "bqx":
        y = streams.bqx_close
        return lag_inside(y, age, h) if h <= LONGEST_INSIDE else lag_plain(y, h)
    if h <= LONGEST_INSIDE:
        return lag_inside(streams.rate_close, age, h)
    return lag_across(streams.rate_close, streams.segment, streams.rate_ends, h)


def _ratio(a: F8, b: F8) -> F8:
    """a / b, NULL where b is 0 within rounding of a (rule N3)."""
    small = np.abs(b) <= 1e-12 * np.maximum(1.0, np.abs(a))
    return np.where(small, np.nan, a / np.where(small, 1.0, b))


def _make_compute(domain: Domain, standard: bool) -> Compute:
    def compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        out: dict[str, F8] = {}
        for name in names:
            h = int(name.rpartition("_")[2])
            change = _changes(domain, streams, h)
            if not standard:
                out[name] = change
            elif domain == "rate":
                out[name] = _ratio(change, streams.sigma * math.sqrt(h))
            else:
                n = deviation_window(h)
                out[name] = _ratio(change, deviation_across(change, streams.panel.grid.seg_age, n, needed(n)))
        return out

    return compute


def _change_reference(domain: Domain, streams: Streams, h: int, row: int, pair: int) -> float:
    """The change from prices and from scratch; rate: log changes inside each segment of the window, added up."""
    if row < h:
        return math.nan
    if domain == "bqx":
        return _momentum_reference(streams, row, pair) - _momentum_reference(streams, row - h, pair)
    close, segment = streams.panel.close[:, pair], streams.segment
    parts = []
    for s in range(int(segment[row - h]), int(segment[row]) + 1):
        begin, end = np.searchsorted(segment, [s, s + 1])
        priced = [float(v) for v in close[max(begin, row - h) : min(end, row + 1)] if not math.isnan(v)]
        if not priced:
            return math.nan
        opens = streams.panel.open[begin:end, pair]
        start = float(close[row - h]) if s == segment[row - h] else float(opens[~np.isnan(opens)][0])
        parts.append(1e4 * math.log(priced[-1] / start))
    return math.fsum(parts)


def _momentum_reference(streams: Streams, row: int, pair: int) -> float:
    w = WINDOWS[0]
    if streams.panel.grid.seg_age[row] < w:
        return math.nan
    past, now = streams.panel.close[row - w : row, pair], float(streams.panel.close[row, pair])
    return -1e4 * math.fsum((float(v) - now) / now for v in past) / momentum_scale(w)


def _sigma_reference(streams: Streams, row: int, pair: int) -> float:
    """EWMA with its weights written out: the seed's share and those of the changes after it."""
    start = row - int(streams.panel.grid.seg_age[row])
    changes = streams.rate_change[max(0, start - SIGMA_BURN) : row, pair]
    squares = changes[~np.isnan(changes)] ** 2
    seed, later = float(np.mean(squares[:HALF_LIFE])), squares[HALF_LIFE:]
    decay = 0.5 ** (1.0 / HALF_LIFE)
    weights = (1.0 - decay) * decay ** np.arange(len(later))[::-1]
    return math.sqrt(decay ** len(later) * seed + float(np.dot(weights, later)))


def _make_reference(domain: Domain, standard: bool) -> Reference:
    def reference(streams: Streams, column: str, row: int, pair: int) -> float:
        h = int(column.rpartition("_")[2])
        change = _change_reference(domain, streams, h, row, pair)
        if not standard:
            return change
        if domain == "rate":
            return change / (_sigma_reference(streams, row, pair) * math.sqrt(h))
        n = deviation_window(h)
        past = lag_inside(streams.bqx_close, streams.panel.grid.seg_age, h) if h <= LONGEST_INSIDE else None
        if past is None:
            past = lag_plain(streams.bqx_close, h)
        window = past[row - n + 1 : row + 1, pair]
        return change / float(np.std(window[~np.isnan(window)], ddof=1))

    return reference


def _dataset(domain: Domain, standard: bool) -> Dataset:
    return Dataset(
        family="returns_std" if standard else "returns_raw",
        domain=domain,
        columns=_columns(domain, standard),
        compute=_make_compute(domain, standard),
        reference=_make_reference(domain, standard),
        stage="1.7.3",
        summary=("Changes in units of volatility" if standard else "Changes")
        + f" of the {domain} stream, 14 horizons.",
    )


DATASETS = tuple(_dataset(domain, standard) for standard in (False, True) for domain in ("rate", "bqx"))

"""volume: one value at a time, the slow and obvious way."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from bqx.features.streams import Streams
from bqx.features.support import needed

F8 = NDArray[np.float64]
NAN = float("nan")


def parse(column: str) -> tuple[str, int]:
    """Quantity and window of a column name; window 0 when it has none."""
    head, _, last = column.rpartition("_")
    return (head, int(last)) if last.isdigit() else (column, 0)


def _mean_reference(x: F8) -> float:
    x = x[~np.isnan(x)]
    return math.fsum(x) / len(x)


def _deviation_reference(x: F8) -> float:
    x = x[~np.isnan(x)]
    mean = math.fsum(x) / len(x)
    return math.sqrt(math.fsum((x - mean) ** 2) / (len(x) - 1))


def _z_reference(x: F8, w: int) -> float:
    return (float(x[-1]) - _mean_reference(x[-w:])) / _deviation_reference(x[-w:])


def _weighted_reference(x: F8, v: F8) -> float:
    both = ~(np.isnan(x) | np.isnan(v))
    return math.fsum(x[both] * v[both]) / math.fsum(v[both])


def _correlation_reference(a: F8, b: F8) -> float:
    both = ~(np.isnan(a) | np.isnan(b))
    return float(np.corrcoef(a[both], b[both])[0, 1])


def _slope_reference(y: F8) -> float:
    valid = ~np.isnan(y)
    x = np.arange(len(y))[valid]
    x = x - np.mean(x)
    return math.fsum(x * (y[valid] - y[valid][0])) / math.fsum(x * x)


def _rolled_moments_reference(x: F8, w: int, rows: int) -> tuple[F8, F8]:
    """Means and sample deviations of the windows of w bars that end at the last `rows` bars; NaN with too few values or
    before the first."""
    windows = np.lib.stride_tricks.sliding_window_view(x, w)[-rows:]
    enough = (~np.isnan(windows)).sum(axis=1) >= needed(w)
    kept = np.where(enough[:, None], windows, 0.0)
    early = np.full(rows - len(windows), np.nan)
    mean, deviation = np.nanmean(kept, axis=1), np.nanstd(kept, axis=1, ddof=1)
    return np.r_[early, np.where(enough, mean, np.nan)], np.r_[early, np.where(enough, deviation, np.nan)]


def _spikes_reference(v: F8, w: int) -> float:
    flags = []
    for k in range(len(v) - w, len(v)):
        mean = _mean_reference(v[k - w : k]) if (~np.isnan(v[k - w : k])).sum() >= needed(w) else NAN
        if not math.isnan(v[k]) and mean > 0:
            flags.append(v[k] > 2 * (1 + 1e-7) * mean)
    return float(round(w * sum(flags) / len(flags)))


def rate_reference(streams: Streams, column: str, row: int, pair: int) -> float:
    if column == "vol_tod_z":
        return _minute_reference(streams, row, pair)
    kind, w = parse(column)
    rows = slice(row - int(streams.panel.grid.seg_age[row]), row + 1)
    v, r = streams.panel.volume[rows, pair], streams.rate_change[rows, pair]
    u, now, before = np.log1p(v), v[-w:], v[-w - 1 : -1]
    total = np.nansum(now)
    typical = (streams.rate_high + streams.rate_low + streams.rate_close)[rows, pair] / 3 if "vwap" in kind else v
    make: dict[str, Callable[[], float]] = {
        "vol_ratio": lambda: float(v[-1]) / _mean_reference(before),
        "vol_z": lambda: (float(u[-1]) - _mean_reference(u[-w - 1 : -1])) / _deviation_reference(u[-w - 1 : -1]),
        "vol_spike_count": lambda: _spikes_reference(v, w),
        "vol_slope": lambda: _slope_reference(u[-w:]),
        "vol_cum": lambda: math.log1p(w * _mean_reference(now)),
        "vwap_dev": lambda: float(streams.rate_close[row, pair]) - _weighted_reference(typical[-w:], now),
        "vw_return": lambda: _weighted_reference(r[-w:], now),
        "vol_absret_corr": lambda: _correlation_reference(u[-w:], np.abs(r[-w:])),
        "obv_slope": lambda: _balance_reference(r[-w:], now),
        "vol_cv": lambda: _deviation_reference(now) / _mean_reference(now),
        "vol_pctile": lambda: float((now < v[-1]).sum() + 0.5 * (now == v[-1]).sum()) / float((~np.isnan(now)).sum()),
        "amihud": lambda: _mean_reference(np.abs(r[-w:])[now > 0] / now[now > 0]) if total > 0 else NAN,
    }
    return make[kind]()


def _minute_reference(streams: Streams, row: int, pair: int) -> float:
    """Weeks begin on Sunday 17:00 New York; `grid.day` numbers trade days, a Thursday is 0."""
    grid = streams.panel.grid
    week, slot = (grid.day + 3) // 7, (grid.day + 3) % 7 * 1440 + grid.minute_of_day
    u = np.log1p(streams.panel.volume[: row + 1, pair])
    ago = week[row] - week[: row + 1]
    near = u[(np.abs(slot[: row + 1] - slot[row]) <= 2) & (ago >= 1) & (ago <= 8)]
    return (float(u[-1]) - _mean_reference(near)) / _deviation_reference(near)


def _balance_reference(r: F8, v: F8) -> float:
    signs = np.where(np.abs(r) > 1e-9, np.sign(r), 0.0)
    steps = signs * v
    balance = np.where(np.isnan(steps), np.nan, np.nancumsum(steps))
    return _slope_reference(balance) / _mean_reference(v)


def _side_reference(dm: F8, w: int) -> F8:
    """2 Ncdf(dM / s) - 1 of the last w bars, each with its own s."""
    deviation = _rolled_moments_reference(dm, 240, w)[1]
    side = [
        2 * NormalDist().cdf(d / s) - 1 if d == d and s > 0 else NAN for d, s in zip(dm[-w:], deviation, strict=True)
    ]
    return np.array(side)


def _score_reference(m: F8, w: int) -> F8:
    """z_240(M) of the last w bars."""
    mean, deviation = _rolled_moments_reference(m, 240, w)
    return np.asarray((m[-w:] - mean) / deviation)


def _flag_reference(yes: NDArray[np.bool_], of: F8) -> F8:
    return np.where(np.isnan(of), np.nan, yes.astype(np.float64))


def bqx_reference(streams: Streams, column: str, row: int, pair: int) -> float:
    kind, w = parse(column)
    rows = slice(row - int(streams.panel.grid.seg_age[row]), row + 1)
    v, m, dm = (x[rows, pair] for x in (streams.panel.volume, streams.bqx_close, streams.bqx_change))
    u, size, now = np.log1p(v), np.abs(dm), v[-w:]

    def crowd_reference() -> float:
        volumes = _rolled_moments_reference(u, w, 240)[0]
        return _z_reference(volumes, 240) * _z_reference(_rolled_moments_reference(dm, w, 240)[1], 240)

    def lead_reference() -> float:
        early = _correlation_reference(u[-w - 1 : -1], size[-w:])
        return early - _correlation_reference(u[-w:], size[-w - 1 : -1])

    def shares_reference(sign: int) -> float:
        score = sign * _score_reference(m, w)
        return _weighted_reference(_flag_reference(score > 1, score), now)

    make: dict[str, Callable[[], float]] = {
        "vw_bqx": lambda: _weighted_reference(m[-w:], now),
        "bqx_vol_corr": lambda: _correlation_reference(m[-w:], u[-w:]),
        "absbqx_vol_corr": lambda: _correlation_reference(size[-w:], u[-w:]),
        "vol_mom_div": lambda: _z_reference(u, w) - _z_reference(np.abs(m), w),
        "up_vol_share": lambda: _weighted_reference(_flag_reference(dm > 1e-9, dm)[-w:], now),
        "bvc_imbalance": lambda: _weighted_reference(_side_reference(dm, w), now),
        "bqx_per_vol": lambda: abs(float(m[-1] - m[-w - 1])) / (w * _mean_reference(now)),
        "volz_x_bqxvolz": crowd_reference,
        "vol_bqx_lead": lead_reference,
        "vol_share_surge": lambda: shares_reference(1),
        "vol_share_drop": lambda: shares_reference(-1),
        "vw_dbqx": lambda: _weighted_reference(dm[-w:], now),
    }
    return make[kind]()

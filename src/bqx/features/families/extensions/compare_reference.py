"""compare the slow way: windows afresh in plain numpy; bands, states and accelerations by their families' own
references."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bqx.features.families.bollinger import DATASETS as BOLLINGER
from bqx.features.families.extensions.parabolic_reference import normal_reference
from bqx.features.families.momentum import DATASETS as MOMENTUM
from bqx.features.families.regime_vol import DATASETS as REGIME_VOL
from bqx.features.streams import Streams

F8 = NDArray[np.float64]
_OTHERS = {home.name: home for home in (*BOLLINGER, *MOMENTUM, *REGIME_VOL)}


def _line_reference(a: F8, b: F8) -> tuple[float, float, float]:
    """Slope, R^2 and last standardised residual of b on a, over the rows where both are valid."""
    both = ~(np.isnan(a) | np.isnan(b))
    u, v = a - np.mean(a[both]), b - np.mean(b[both])
    slope = math.fsum((u * v)[both]) / math.fsum((u * u)[both])
    errors = v - slope * u
    left = math.fsum((errors * errors)[both])
    share = 1.0 - left / math.fsum((v * v)[both])
    return slope, share, float(errors[-1]) / math.sqrt(left / int(both.sum()))


def _correlation_reference(a: F8, b: F8) -> float:
    both = ~(np.isnan(a) | np.isnan(b))
    return float(np.corrcoef(a[both], b[both])[0, 1])


def _valid(x: F8, w: int) -> F8:
    return x[-w:][~np.isnan(x[-w:])]


def _moment_reference(x: F8, kurtosis: bool) -> float:
    n, v = len(x), x - np.mean(x)
    m2, m3, m4 = (math.fsum(v**k) / n for k in (2, 3, 4))
    if kurtosis:
        return (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * (m4 / (m2 * m2) - 3) + 6)
    return m3 / (m2 * math.sqrt(m2)) * math.sqrt(n * (n - 1)) / (n - 2)


def _rank_reference(x: F8, age: NDArray[np.int32]) -> float:
    """Percentile rank of the deviation of the last 30 values among those of the last 1,440 bars."""
    windows = np.lib.stride_tricks.sliding_window_view(x, 30)[-1440:]
    valid = ~np.isnan(windows)
    n = valid.sum(axis=1)
    mean = np.where(valid, windows, 0.0).sum(axis=1) / np.maximum(n, 1)
    square = np.where(valid, (windows - mean[:, None]) ** 2, 0.0).sum(axis=1) / np.maximum(n - 1, 1)
    known = np.sqrt(square[(n >= 27) & (age[-len(windows) :] >= 29)]).astype(np.float32)
    return float((known < known[-1]).sum() + 0.5 * (known == known[-1]).sum()) / len(known)


def reference(streams: Streams, column: str, row: int, pair: int) -> float:
    age = streams.panel.grid.seg_age[: row + 1]
    start = row - int(age[-1])
    y, m, x = (a[start : row + 1, pair] for a in (streams.rate_close, streams.bqx_close, streams.rate_change))
    moved = np.concatenate([np.full(min(15, len(y)), np.nan), y[15:] - y[:-15]])

    def other(family: str, name: str) -> tuple[float, float]:
        homes = (_OTHERS[f"{family}_{domain}"] for domain in ("rate", "bqx"))
        rate, bqx = (home.reference(streams, name, row, pair) for home in homes)
        return rate, bqx

    if column == "decoupling_flag":
        return float(abs(_line_reference(moved[-30:], m[-30:])[2]) > 2)
    if column == "coupling_15_60":
        return _line_reference(moved[-15:], m[-15:])[1] - _line_reference(moved[-60:], m[-60:])[1]
    for head, a, b in (("rate_to_bqx_", moved, m), ("bqx_to_rate_", m, moved)):
        if column.startswith(head):
            kind = column.removeprefix(head).removesuffix("_30")
            return _line_reference(a[-30:], b[-30:])[("beta", "r2", "resid_z").index(kind)]
    head, _, number = column.rpartition("_")
    match head:
        case "a2_diff" | "a1_diff" | "b_diff" | "r2_diff":
            name = head.removesuffix("_diff")
            return normal_reference(y[-60:], name) - normal_reference(m[-60:], name)
        case "var_ratio":
            w = int(number)
            return math.log(float(np.std(_valid(m, w), ddof=1)) / float(np.std(_valid(x, w), ddof=1)))
        case "skew_diff" | "kurt_diff":
            return _moment_reference(_valid(m, 60), head == "kurt_diff") - _moment_reference(
                _valid(x, 60), head == "kurt_diff"
            )
        case "xcorr_lag":
            k = int(number)
            return _correlation_reference(x[len(x) - k - 60 : len(x) - k], m[-60:])
        case "vol_diff":
            everything = (streams.bqx_close[: row + 1, pair], streams.rate_change[: row + 1, pair])
            bqx, rate = (_rank_reference(a, age) for a in everything)
            return bqx - rate
        case "accel_diff":
            rate, bqx = other("momentum_w30", "mom_acc")
            return bqx - rate
        case "bb_width_ratio":
            rate, bqx = other("bollinger", "bb_width_20")
            return math.log(bqx / rate)
        case "vol_state":
            rate, bqx = other("regime_vol", "vol_state_60")
            return float(rate != bqx)
    kind = {"bb_pb_diff": "percent_b", "bb_squeeze_diff": "squeeze", "bb_breach_diff": "breach",
            "bb_slope_diff": "slope"}[head]  # fmt: skip
    rate, bqx = other("bollinger", f"bb_{kind}_20")
    return bqx - rate

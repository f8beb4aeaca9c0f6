"""bollinger: bands of two deviations around seven moving means, 56 columns in each domain.

The series S is the mid price in the rate domain (its index for the bands themselves) and M in the bqx domain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import Column, Compute, Dataset, Dtype, Reference
from bqx.features.kernels.bands import balance, mean_change, outside, place_between, settle
from bqx.features.kernels.moments import TINY, centre
from bqx.features.kernels.ranks import percentile_rank
from bqx.features.streams import PRICE, WINDOWS, Domain, Streams, momentum_support
from bqx.features.support import All, Baseline, Lag, Support, Window, needed

F8 = NDArray[np.float64]

BARS = (10, 20, 30, 50, 60, 120, 240)
RANKED = 1440
"""Widths among which the squeeze ranks the latest."""
LAG = 5
SOURCE = "Bollinger 2001"
STATISTICS = (30, 60, 120)
"""Windows whose mean and deviation of M are in statistics_bqx too."""
STILL = "a quote that stands still gives exactly 0"
FLAT = "NULL where the bands have no width"
ROUNDING = 1.0 + 1e-9


def _columns(domain: Domain) -> Iterator[Column]:
    rate = domain == "rate"
    level: Support = PRICE if rate else momentum_support(WINDOWS[0])
    s = "I" if rate else "M"
    zero, level_tag = frozenset({"zero_ok"}), frozenset({"level"})
    dtype: Dtype = "f8" if rate else "f4"
    bounds = (0.0 if rate else -np.inf, np.inf)
    for name, formula in (("upper", " + 2 psd"), ("middle", ""), ("lower", " - 2 psd")):
        for w in BARS:
            seen = Window(level, w, "SEG")
            alias = f"statistics_bqx.mean_{w}min" if name == "middle" and w in STATISTICS and not rate else None
            yield Column(f"bb_{name}_{w}", "pts / bps", f"mean{formula} of {s}, {w} bars",
                         Baseline(seen) if rate else seen, "SEG", dtype, bounds, level_tag if rate else zero,
                         "" if rate else STILL, alias, SOURCE)  # fmt: skip
    for w in BARS:
        alias = f"statistics_bqx.std_{w}min" if w in STATISTICS and not rate else None
        yield Column(f"bb_width_{w}", "bps", "10^4 (upper - lower) / middle" if rate else "upper - lower",
                     Window(level, w, "SEG"), "SEG", "f4", (0.0, np.inf), zero, STILL, alias, SOURCE)  # fmt: skip
    for w in BARS:
        reach = math.sqrt(w - 1) / 4 * ROUNDING
        yield Column(f"bb_percent_b_{w}", "–", f"({s} - lower) / (upper - lower)",
                     All((level, Window(level, w, "SEG"))), "SEG", "f4", (0.5 - reach, 0.5 + reach),
                     frozenset({"may_be_undefined"}), FLAT, None, SOURCE)  # fmt: skip
    for w in BARS:
        yield Column(f"bb_slope_{w}", "bps/bar", f"(middle(t) - middle(t-{LAG})) / {LAG}"
                     + (f" / (10^-4 middle(t-{LAG}))" if rate else ""),
                     Lag(Window(level, w, "SEG"), LAG, "SEG"), "SEG", tags=zero, why_tagged=STILL)  # fmt: skip
    for w in BARS:
        width = Window(level, w, "SEG")
        yield Column(f"bb_squeeze_{w}", "0–1", f"percentile rank of bb_width_{w} (24 bits) among the last {RANKED}",
                     All((width, Window(width, RANKED, "XGAP"))), "XGAP", bounds=(0.0, 1.0))  # fmt: skip
    for w in BARS:
        flag = All((level, Window(level, w, "SEG")))
        yield Column(f"bb_breach_{w}", "−1–1", f"(bars above their upper band - bars below their lower) / n, {w} bars",
                     Window(flag, w, "SEG"), "SEG", bounds=(-1.0, 1.0), tags=zero,
                     why_tagged="a window without a bar outside its bands, or with as many above as below")  # fmt: skip


def parse(column: str) -> tuple[str, int]:
    """Quantity and window of a column name."""
    head, _, w = column.rpartition("_")
    return head.removeprefix("bb_"), int(w)


def _bands(streams: Streams, domain: Domain, w: int, kinds: Sequence[str]) -> Mapping[str, F8]:
    """The wanted quantities of one window."""
    rate = domain == "rate"
    age, need = streams.panel.grid.seg_age, needed(w)
    x = streams.panel.close if rate else streams.bqx_close
    shift, excess, deviation = centre(x, age, w, need, 0)
    settle(shift, excess, deviation, TINY * 1e-4 if rate else 0.0, 0.0 if rate else TINY)
    middle = shift + excess
    width = 4e4 * deviation / middle if rate else 4.0 * deviation
    make: dict[str, Callable[[], F8]] = {
        "upper": lambda: _index(streams, rate, middle + 2.0 * deviation),
        "middle": lambda: _index(streams, rate, middle),
        "lower": lambda: _index(streams, rate, middle - 2.0 * deviation),
        "width": lambda: width,
        "percent_b": lambda: place_between(x, shift, excess, deviation),
        "slope": lambda: _slope(rate, middle, mean_change(shift, excess, LAG)),
        "squeeze": lambda: percentile_rank(width.astype(np.float32), RANKED, needed(RANKED)),
        "breach": lambda: balance(outside(x, shift, excess, deviation), age, w, need),
    }
    return {f"bb_{kind}_{w}": make[kind]() for kind in kinds}


def _index(streams: Streams, rate: bool, value: F8) -> F8:
    """In points of the index from the baseline on; M as it is."""
    if not rate:
        return value
    pairs = streams.panel.pairs
    known = streams.panel.grid.minute[:, None] >= streams.anchors.minutes(pairs)[None, :]
    return np.where(known, value * (100.0 / streams.anchors.mids(pairs)), np.nan)


def _slope(rate: bool, middle: F8, change: F8) -> F8:
    if rate:
        change[LAG:] /= 1e-4 * middle[:-LAG]
    return change


def _make_compute(domain: Domain) -> Compute:
    def compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        found: dict[str, F8] = {}
        for w in BARS:
            if kinds := [kind for kind, v in map(parse, names) if v == w]:
                found |= _bands(streams, domain, w, kinds)
        return {name: found[name] for name in names}

    return compute


def _bands_reference(close: F8, age: NDArray[np.int32], w: int, rows: int) -> tuple[F8, F8]:
    """Means less the last price, and population deviations, of the windows that end at the last `rows` rows, in two
    passes; NaN outside the segment and with too few values. Shape (rows,)."""
    rows = min(rows, len(close) - w + 1)
    windows = np.lib.stride_tricks.sliding_window_view(close, w)[-rows:]
    base = _latest_reference(close)
    valid = ~np.isnan(windows)
    n = valid.sum(axis=1)
    away = np.where(valid, windows - base, 0.0)
    mean = away.sum(axis=1) / np.maximum(n, 1)
    square = np.where(valid, (away - mean[:, None]) ** 2, 0.0).sum(axis=1) / np.maximum(n, 1)
    exists = (age[-rows:] >= w - 1) & (n >= needed(w))
    return np.where(exists, mean, np.nan), np.where(exists, np.sqrt(square), np.nan)


def _latest_reference(close: F8) -> float:
    return float(close[~np.isnan(close)][-1])


def _make_reference(domain: Domain) -> Reference:
    rate = domain == "rate"

    def reference(streams: Streams, column: str, row: int, pair: int) -> float:
        kind, w = parse(column)
        close = (streams.panel.close if rate else streams.bqx_close)[: row + 1, pair]
        rows = RANKED if kind == "squeeze" else w + LAG
        away, deviations = _bands_reference(close, streams.panel.grid.seg_age[: row + 1], w, rows)
        base = _latest_reference(close)
        means, moved = base + away, close[-w:] - base
        mean, deviation, now = float(means[-1]), float(deviations[-1]), float(moved[-1])
        if kind in ("upper", "middle", "lower"):
            scale = 100.0 / float(streams.anchors.mids(streams.panel.pairs)[pair]) if rate else 1.0
            return scale * (mean + {"upper": 2, "middle": 0, "lower": -2}[kind] * deviation)
        if kind == "percent_b":
            return 0.5 + (now - float(away[-1])) / (4 * deviation)
        if kind == "slope":
            change = float(away[-1] - away[-1 - LAG]) / LAG
            return change / (1e-4 * float(means[-1 - LAG]) if rate else 1.0)
        if kind == "breach":
            far = (moved - away[-w:]) / deviations[-w:]
            flags = (far > 2 + 1e-7).astype(int) - (far < -2 - 1e-7)
            return float(np.mean(flags[~np.isnan(moved) & ~np.isnan(away[-w:])]))
        widths = 4e4 * deviations / means if rate else 4 * deviations
        if kind == "width":
            return float(widths[-1])
        among = widths[~np.isnan(widths)].astype(np.float32)
        return float((among < among[-1]).sum() + 0.5 * (among == among[-1]).sum()) / len(among)

    return reference


def _dataset(domain: Domain) -> Dataset:
    return Dataset(
        family="bollinger",
        domain=domain,
        columns=tuple(_columns(domain)),
        compute=_make_compute(domain),
        reference=_make_reference(domain),
        stage="1.6.9a" if domain == "rate" else "1.6.13",
        summary=f"Bollinger bands of the {'index close' if domain == 'rate' else 'oriented momentum M'}, 7 windows.",
        inherited=domain == "rate",
        uses=frozenset({"baseline"}) if domain == "rate" else frozenset(),
    )


DATASETS = (_dataset("rate"), _dataset("bqx"))

"""base_bqx: the raw backward momentum of the seed, 38 columns, and its oriented form M, 5 columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import Column, Dataset
from bqx.features.kernels.lags import lag_inside
from bqx.features.streams import PRICE, WINDOWS, Streams, momentum_scale, momentum_support
from bqx.features.support import Baseline, Lag, Support

F8 = NDArray[np.float64]
AGG = WINDOWS[-1]
LEVEL = frozenset({"level"})
FLAT = "a quote that does not move gives exactly 0"


def _columns() -> tuple[Column, ...]:
    out = [
        Column("rate_index", "pts", "100 close / B_p", Baseline(PRICE), "NONE", "f8", (0.0, np.inf), LEVEL,
               source="", summary="Close as a percentage of the baseline.")
    ]  # fmt: skip
    for w in WINDOWS:
        out += _window_columns(f"w{w}_bqx", w, alias=None)
    out += _window_columns("agg_bqx", AGG, alias=f"w{AGG}_bqx")
    seen = momentum_support(AGG)
    out += [
        Column("agg_bqx_range", "–", f"(max - min of the {AGG} closes before t) / close", seen, "SEG",
               bounds=(0.0, np.inf), tags=frozenset({"zero_ok"}), why_tagged=FLAT),
        Column("agg_bqx_volatility", "–", f"sample sd of the {AGG} closes before t / close", seen, "SEG",
               bounds=(0.0, np.inf), tags=frozenset({"zero_ok"}), why_tagged=FLAT),
    ]  # fmt: skip
    out += [
        Column(f"M_{w}", "bps", f"-10^4 b_{w} / c_{w}", momentum_support(w), "SEG", tags=frozenset({"zero_ok"}),
               why_tagged=FLAT, summary="Oriented momentum; on a random walk its sd is that of one minute.")
        for w in WINDOWS
    ]  # fmt: skip
    return tuple(out)


def _window_columns(prefix: str, w: int, alias: str | None) -> list[Column]:
    seen = momentum_support(w)
    level = Baseline(seen)
    rows = [
        ("return", "return·bars", f"W (mean(I(t-W..t-1)) / I(t) - 1), W = {w}", False),
        ("max_index", "pts", f"max I(t-{w}..t-1)", True),
        ("min_index", "pts", f"min I(t-{w}..t-1)", True),
        ("avg_index", "pts", f"mean I(t-{w}..t-1)", True),
        ("stdev_index", "pts", f"sample sd of I(t-{w}..t-1)", True),
    ]
    if alias is None:
        rows.append(("endpoint", "–", f"(I(t-{w}) - I(t)) / I(t)", False))
    out = []
    for name, unit, formula, is_level in rows:
        own: Support = Lag(PRICE, w, "SEG") if name == "endpoint" else seen
        may_be_zero = name in ("return", "endpoint", "stdev_index")
        out.append(
            Column(
                f"{prefix}_{name}",
                unit,
                formula,
                level if is_level else own,
                "SEG",
                "f8" if is_level else "f4",
                (0.0, np.inf) if is_level else (-np.inf, np.inf),
                (LEVEL if is_level else frozenset()) | (frozenset({"zero_ok"}) if may_be_zero else frozenset()),
                FLAT if may_be_zero else "",
                f"base_bqx.{alias}_{name}" if alias else None,
            )
        )
    return out


def _compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
    wanted, out = set(names), {}
    close = streams.panel.close
    scale = 100.0 / streams.anchors.mids(streams.panel.pairs)
    known = streams.panel.grid.minute[:, None] >= streams.anchors.minutes(streams.panel.pairs)[None, :]

    def put(name: str, make: Callable[[], F8], level: bool = False) -> None:
        if name in wanted:
            value = make()
            out[name] = np.where(known, value * scale, np.nan) if level else value

    put("rate_index", lambda: close, level=True)
    for prefix, w in [(f"w{w}_bqx", w) for w in WINDOWS] + [("agg_bqx", AGG)]:
        put(f"{prefix}_return", lambda w=w: streams.raw_bqx(w))
        put(
            f"{prefix}_max_index",
            lambda w=w: _emitted(streams, w, streams.previous_extremes(w)[0]),
            level=True,
        )
        put(
            f"{prefix}_min_index",
            lambda w=w: _emitted(streams, w, streams.previous_extremes(w)[1]),
            level=True,
        )
        put(f"{prefix}_avg_index", lambda w=w: _emitted(streams, w, _mean(streams, w)), level=True)
        put(
            f"{prefix}_stdev_index",
            lambda w=w: _emitted(streams, w, streams.previous_closes(w)[2]),
            level=True,
        )
        put(f"{prefix}_endpoint", lambda w=w: -lag_inside(close, streams.panel.grid.seg_age, w) / close)
    high, low = streams.previous_extremes(AGG) if "agg_bqx_range" in wanted else (close, close)
    put("agg_bqx_range", lambda: (high - low) / close)
    put("agg_bqx_volatility", lambda: streams.previous_closes(AGG)[2] / close)
    for w in WINDOWS:
        put(f"M_{w}", lambda w=w: streams.oriented(w))
    return out


def _mean(streams: Streams, w: int) -> F8:
    shift, excess, _ = streams.previous_closes(w)
    return shift + excess


def _emitted(streams: Streams, w: int, value: F8) -> F8:
    """NULL without a price now, as for every column of this family."""
    return np.where(np.isnan(streams.panel.close), np.nan, value)


def _reference(streams: Streams, column: str, row: int, pair: int) -> float:
    """One value from the closes themselves, summed in exact order by math.fsum."""
    close = streams.panel.close
    now = float(close[row, pair])
    if column == "rate_index":
        return 100.0 * now / float(streams.anchors.mids(streams.panel.pairs)[pair])
    prefix, _, what = column.rpartition("_bqx_")
    w = int(column[2:]) if column.startswith("M_") else AGG if prefix == "agg" else int(prefix[1:])
    past = [float(v) for v in close[row - w : row, pair] if not math.isnan(v)]
    mean = math.fsum(past) / len(past)
    deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in past) / (len(past) - 1))
    raw = w * math.fsum((v - now) / now for v in past) / len(past)
    if column.startswith("M_"):
        return -1e4 * raw / momentum_scale(w)
    index = 100.0 / float(streams.anchors.mids(streams.panel.pairs)[pair])
    return {
        "return": lambda: raw,
        "max_index": lambda: max(past) * index,
        "min_index": lambda: min(past) * index,
        "avg_index": lambda: mean * index,
        "stdev_index": lambda: deviation * index,
        "endpoint": lambda: (float(close[row - w, pair]) - now) / now,
        "range": lambda: (max(past) - min(past)) / now,
        "volatility": lambda: deviation / now,
    }[what]()


DATASET = Dataset(
    family="base",
    domain="bqx",
    columns=_columns(),
    compute=_compute,
    reference=_reference,
    stage="base",
    summary="Raw backward momentum (seed formulas) and its oriented, standardised form M. An input, not a feature.",
    counted=False,
    uses=frozenset({"baseline"}),
)

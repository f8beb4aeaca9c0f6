"""base_bqx: the raw backward momentum of the seed, 38 columns, and its oriented form M, 5 columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import FeatureError
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


def _parse(column: str) -> tuple[int, str]:
    """Look-back and quantity of a column name; `rate_index` has no look-back."""
    if column.startswith("M_"):
        return int(column[2:]), "M"
    prefix, _, what = column.rpartition("_bqx_")
    return (AGG if prefix == "agg" else int(prefix[1:]) if prefix else 0), what or column


def _compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
    scale = 100.0 / streams.anchors.mids(streams.panel.pairs)
    known = streams.panel.grid.minute[:, None] >= streams.anchors.minutes(streams.panel.pairs)[None, :]
    out: dict[str, F8] = {}
    for name in names:
        value = _quantity(streams, *_parse(name))
        out[name] = np.where(known, value * scale, np.nan) if name.endswith("_index") else value
    return out


def _quantity(streams: Streams, w: int, what: str) -> F8:
    """A column before the index scale."""
    close = streams.panel.close
    match what:
        case "rate_index":
            return close
        case "return":
            return streams.raw_bqx(w)
        case "M":
            return streams.oriented(w)
        case "endpoint":
            return -lag_inside(close, streams.panel.grid.seg_age, w) / close
        case "max_index":
            return _emitted(streams, streams.previous_extremes(w)[0])
        case "min_index":
            return _emitted(streams, streams.previous_extremes(w)[1])
        case "avg_index":
            shift, excess, _ = streams.previous_closes(w)
            return _emitted(streams, shift + excess)
        case "stdev_index":
            return _emitted(streams, streams.previous_closes(w)[2])
        case "range":
            high, low = streams.previous_extremes(w)
            return (high - low) / close
        case "volatility":
            return streams.previous_closes(w)[2] / close
    raise FeatureError(f"base_bqx has no formula for {what}")


def _emitted(streams: Streams, value: F8) -> F8:
    """NULL without a price now, as for every column of this family."""
    return np.where(np.isnan(streams.panel.close), np.nan, value)


def _reference(streams: Streams, column: str, row: int, pair: int) -> float:
    """One value from the closes themselves, summed in exact order by math.fsum."""
    close = streams.panel.close
    now = float(close[row, pair])
    if column == "rate_index":
        return 100.0 * now / float(streams.anchors.mids(streams.panel.pairs)[pair])
    w, what = _parse(column)
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

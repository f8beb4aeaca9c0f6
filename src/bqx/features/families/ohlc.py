"""ohlc_rate: the bar as index levels, the closure gaps and the bar's place in its segment. Auxiliary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import Column, Dataset
from bqx.features.streams import PRICE, Streams
from bqx.features.support import Always, Baseline, Opened

F8 = NDArray[np.float64]
LEVEL = frozenset({"level"})
COUNTS = frozenset({"zero_ok"})

PRICES = {"open_index": "open", "high_index": "high", "low_index": "low", "rate_index": "close"}


def _columns() -> tuple[Column, ...]:
    source = "specs 1.1.2"
    index = [
        Column(name, "pts", f"100 {field} / B_p", Baseline(PRICE), "NONE", "f8", (0.0, np.inf), LEVEL,
               alias_of="base_bqx.rate_index" if name == "rate_index" else None, source=source)
        for name, field in PRICES.items()
    ]  # fmt: skip
    return (
        *index,
        Column("gap_factor", "–", "product of (first open / last close before) over the closures since the baseline",
               Baseline(Opened()), "XGAP", "f8", (0.0, np.inf), LEVEL, source="specs 8.3"),
        Column("seg_id", "int", "trade day number (days since 1970-01-01) on which the segment began", Always(), "NONE",
               "i4", (0, 2**31 - 1)),
        Column("seg_age", "bars", "open minutes since the segment began", Always(), "NONE", "i4", (0, 7199), COUNTS,
               "the first minute has age 0"),
        Column("is_filled", "flag", "1 if the minute had no quote", Always(), "NONE", "i2", (0, 1), COUNTS, "a flag"),
        Column("fill_run", "bars", "consecutive minutes without a quote", Always(), "NONE", "i4", (0, 7200), COUNTS,
               "a quoted minute has none"),
        Column("baseline_epoch", "int", "key of the baseline registry", Baseline(Always()), "NONE", "i4",
               (1, 2**31 - 1), LEVEL),
    )  # fmt: skip


def _compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
    panel, anchors = streams.panel, streams.anchors
    known = panel.grid.minute[:, None] >= anchors.minutes(panel.pairs)[None, :]
    scale = 100.0 / anchors.mids(panel.pairs)
    ones = np.ones(panel.shape)
    out: dict[str, F8] = {}
    for name in names:
        if name in PRICES:
            out[name] = np.where(known, getattr(panel, PRICES[name]) * scale, np.nan)
        elif name == "gap_factor":
            out[name] = np.where(known, _gap_factors(streams), np.nan)
        elif name == "seg_id":
            out[name] = panel.grid.seg_id[:, None] * ones
        elif name == "seg_age":
            out[name] = panel.grid.seg_age[:, None] * ones
        elif name == "is_filled":
            out[name] = panel.filled.astype(np.float64)
        elif name == "fill_run":
            out[name] = panel.fill_run.astype(np.float64)
        elif name == "baseline_epoch":
            out[name] = np.where(known, anchors.epochs(panel.pairs)[None, :], np.nan)
    return out


def _gap_factors(streams: Streams) -> F8:
    """Phi of the segment, NULL until its first quote of the pair."""
    panel = streams.panel
    opened = Opened()
    out = np.full(panel.shape, np.nan)
    seen = opened.seen(panel)
    for j, pair in enumerate(panel.pairs):
        factors = streams.anchors.gap_factors(pair)
        values = np.array([factors.get(int(s), np.nan) for s in np.unique(panel.grid.seg_id)])
        out[:, j] = np.where(seen[:, j], values[streams.segment], np.nan)
    return out


def _reference(streams: Streams, column: str, row: int, pair: int) -> float:
    panel, name = streams.panel, streams.panel.pairs[pair]
    minute = int(panel.grid.minute[row])
    if column in PRICES:
        price = float(getattr(panel, PRICES[column])[row, pair])
        return 100.0 * price / streams.anchors.baseline[name][2]
    if column == "gap_factor":
        factor, before = 1.0, None
        for edge in streams.anchors.edges[name]:
            if edge.last_minute >= streams.anchors.baseline[name][1] and edge.first_minute <= minute:
                factor *= edge.first_open / before if before is not None else 1.0
                before = edge.last_close
        return factor
    if column == "baseline_epoch":
        return float(streams.anchors.baseline[name][0])
    if column in ("seg_id", "seg_age"):
        start = streams.calendar.segment_start(minute)
        age = streams.calendar.ordinal(minute) - streams.calendar.ordinal(start)
        return float(age if column == "seg_age" else streams.calendar.trade_day(start))
    run, k = 0, row
    while panel.fill_run[k, pair] > 0:
        run, k = run + 1, k - 1
        if panel.grid.seg_age[k + 1] == 0:
            break
    return float(run if column == "fill_run" else run > 0)


DATASET = Dataset(
    family="ohlc",
    domain="rate",
    columns=_columns(),
    compute=_compute,
    reference=_reference,
    stage="1.8.3",
    summary="Open, high, low, close as index levels, closure gaps, segment and fill flags.",
    counted=False,
    uses=frozenset({"baseline", "gaps"}),
)

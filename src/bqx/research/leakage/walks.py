"""L8: a simulated random-walk market with the real calendar has no skill, and its mechanical R2 is that of H.1."""

from __future__ import annotations

import numpy as np

from bqx.features.anchors import Anchors
from bqx.features.streams import Streams
from bqx.market.calendar import Calendar, month_span
from bqx.market.panel import make_panel
from bqx.market.simulated import simulate
from bqx.research.firstlight import first_answer
from bqx.research.labels import labels_of
from bqx.research.leakage.result import LeakResult
from bqx.research.matrix import from_bars
from bqx.research.skill import NO_SKILL
from bqx.research.target_set import target

MECHANICAL = {"y1_15_60": 0.425, "y1_15_75": 0.515, "y1_30_75": 0.219, "y2_60_60": 0.5, "y2_15_60": 0.211}
"""R2 without skill (H.1)."""
TOLERANCE = 0.06
PAIRS = ("audusd", "eurusd", "gbpusd", "nzdusd", "usdcad", "usdchf", "usdjpy")


def l8_random_walk(calendar: Calendar, seed: int = 0, days: int = 30) -> LeakResult:
    start = calendar.segment_start(month_span("2023_02")[0])
    end = calendar.at_ordinal(calendar.ordinal(start) + days * 1440)
    bars = simulate(calendar, start, end, seed=seed, pairs=PAIRS)
    found = first_answer(
        from_bars(bars, calendar, start, end, every=15, datasets=("returns_std_rate",), simulated=True),
        noise=10,
        draws=500,
    )
    wrong = [] if NO_SKILL in found.verdict() else [found.verdict()]
    compared = found.pooled.n_rows
    panel = make_panel({"eurusd": bars["eurusd"]}, ("eurusd",), calendar.grid(start, end))
    labels = labels_of(Streams(panel, calendar, Anchors()), calendar, start, end)
    for name, want in MECHANICAL.items():
        t = target(name)
        y, f = t.value(labels) / labels.values["sigma"], t.walk(labels) / labels.values["sigma"]
        ok = np.isfinite(y) & np.isfinite(f)
        r2 = 1.0 - float(((y - f)[ok] ** 2).sum() / (y[ok] ** 2).sum())
        compared += int(ok.sum())
        if abs(r2 - want) > TOLERANCE:
            wrong.append(f"{name} has R2 {r2:.3f}, a random walk {want}")
    return LeakResult("L8", "random-walk market", compared, len(wrong), "; ".join(wrong) or found.verdict())

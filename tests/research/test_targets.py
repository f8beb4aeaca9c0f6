"""Labels use returns after t only, never cross a closure, and equal a loop over prices."""

from __future__ import annotations

import numpy as np
import pytest

from bqx.base.errors import UsageError
from bqx.features.anchors import Anchors
from bqx.features.streams import Streams, momentum_scale
from bqx.market.calendar import Calendar, month_span
from bqx.market.panel import make_panel
from bqx.market.simulated import simulate
from bqx.research.targets import HORIZONS, targets

CALENDAR = Calendar.load()


@pytest.fixture(scope="module")
def streams() -> Streams:
    a, _ = month_span("2024_07")
    start = CALENDAR.segment_start(a)
    bars = simulate(CALENDAR, start, start + 12 * 1440, seed=5, pairs=["eurusd", "audjpy"])
    return Streams(make_panel(bars, tuple(sorted(bars)), CALENDAR.grid(start, start + 12 * 1440)), CALENDAR, Anchors())


def test_labels_equal_a_loop_over_prices(streams: Streams) -> None:
    age = streams.panel.grid.seg_age
    Y = targets({h: streams.oriented(h) for h in HORIZONS}, streams.sigma, streams.panel.grid.seg_id)
    close, sigma, compared = streams.panel.close, streams.sigma, 0
    for k, h in enumerate(HORIZONS):
        for t in range(0, len(age) - h, 97):
            for p in range(2):
                path = close[t : t + h + 1, p]
                if np.isnan(path).any() or np.isnan(sigma[t, p]):
                    continue
                want = -1e4 * sum((path[h - i] - path[h]) / path[h] for i in range(1, h + 1)) / momentum_scale(h)
                if age[t + h] < h:  # a closure in between
                    assert np.isnan(Y[t, p, k])
                else:
                    assert Y[t, p, k] == pytest.approx(want / sigma[t, p], rel=1e-9, abs=1e-9)
                    compared += 1
    assert compared > 500


def test_labels_ignore_the_past_but_for_sigma(streams: Streams) -> None:
    """Changing every return up to t leaves M_h(t + h): only a constant factor of all later prices has changed."""
    h, t = 30, 5000
    M = streams.oriented(h)
    moved = make_panel({}, streams.panel.pairs, streams.panel.grid)
    factor = np.where(np.arange(len(M)) < t, 1.0 + 0.3 * np.sin(np.arange(len(M))), 4.0)[:, None]
    for name in ("open", "high", "low", "close"):
        getattr(moved, name)[:] = getattr(streams.panel, name) * factor
    again = Streams(moved, CALENDAR, Anchors()).oriented(h)
    np.testing.assert_allclose(again[t + h], M[t + h], rtol=1e-9)
    assert not np.allclose(again[t + h - 1], M[t + h - 1], rtol=0.1), "one bar earlier the changed past is seen"


def test_missing_horizon_teaches() -> None:
    with pytest.raises(UsageError, match="M_30"):
        targets({15: np.ones((4, 1))}, np.ones((4, 1)), np.zeros(4, np.int32), [30])

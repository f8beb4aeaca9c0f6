"""Signals: the sign map, the hurdle, reasons, one number and many give the same."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bqx.base.errors import BacktestError
from bqx.features.anchors import Anchors
from bqx.features.streams import Streams
from bqx.market.panel import make_panel
from bqx.research.backtest.signal import (
    ACTIONS,
    BELOW_COST,
    GO,
    NOT_SHOWN,
    REASONS,
    UNKNOWN,
    SignalRule,
    side_of_raw_bqx,
    signal,
    signals,
)
from bqx.research.labels import labels_of
from bqx.research.target_set import target

numbers = st.floats(-3, 3, allow_nan=False)


def test_sign_map_on_real_columns(calendar, small_frames, holiday_calendar):
    """Where the price rose over the window, raw BQX is negative and the momentum of our targets positive; so our rule
    buys what rises, and the reference's (BUY when raw BQX > 0.0005) would have sold it."""
    frame = {"eurusd": small_frames["eurusd"]}
    start, end = (int(frame["eurusd"]["ts_utc"].to_physical()[k]) // 60_000_000 for k in (0, -1))
    grid = holiday_calendar.grid(start, end + 1)
    streams = Streams(make_panel(frame, ("eurusd",), grid), holiday_calendar, Anchors())
    raw, oriented = streams.raw_bqx(60)[:, 0], streams.oriented(60)[:, 0]
    known = np.isfinite(raw) & np.isfinite(oriented) & (raw != 0.0)
    assert known.sum() > 20_000
    assert np.array_equal([side_of_raw_bqx(x) for x in raw[known]], np.sign(oriented[known]))
    labels = labels_of(streams, holiday_calendar, start + 10_000, end + 1)
    y4, rose = target("y4_60").value(labels), labels.values["r_60"].astype(float)
    known = np.isfinite(y4) & (rose != 0.0)
    side = signals(y4[known], labels.values["sigma"][known], 0.0, 60, SignalRule()).side
    assert np.array_equal(side, np.sign(rose[known])), "a sure forecast buys exactly what rises"
    later = labels.values["a_60_60"].astype(float)[known]
    agree = np.sign(later) == np.sign(rose[known])
    assert agree.mean() > 0.75, "BQX_60(t + 60), oriented, goes with the return (correlation 0.87 on a random walk)"
    reference = np.where(-later > 0, 1, -1)  # BUY on positive raw BQX, which is minus the oriented one
    assert (reference == side).mean() < 0.25


def test_a_buy_gains_when_the_price_rises():
    assert signal(1.0, 2.0, 0.5, 16, SignalRule()).action == "BUY"
    assert signal(-1.0, 2.0, 0.5, 16, SignalRule()).action == "SELL"
    found = signal(1.0, 2.0, 0.5, 16, SignalRule(margin_bps=1.0, extra_cost_bps=0.5))
    assert (found.side, found.expected_bps, found.hurdle_bps, found.strength) == (1, 8.0, 2.0, 0.75)


@pytest.mark.parametrize(
    ("arguments", "options", "reason"),
    [
        ((math.nan, 1.0, 1.0, 15), {}, UNKNOWN),
        ((1.0, math.nan, 1.0, 15), {}, UNKNOWN),
        ((1.0, 1.0, math.nan, 15), {}, UNKNOWN),
        ((0.5, 2.0, 4.0, 16), {}, BELOW_COST),  # exactly the cost is not above it
        ((9.0, 2.0, 4.0, 16), {"demonstrated": False}, NOT_SHOWN),
        ((9.0, 2.0, 4.0, 16), {"demonstrated": False, "blocked": "news"}, NOT_SHOWN),
        ((9.0, 2.0, 4.0, 16), {"blocked": "rollover"}, "rollover"),
        ((9.0, 2.0, 4.0, 16), {"regime": 0.0}, BELOW_COST),
    ],
)
def test_hold_and_why(arguments, options, reason):
    found = signal(*arguments, SignalRule(), **options)
    assert (found.action, found.side, found.strength, found.reason) == ("HOLD", 0, 0.0, reason)


@given(
    st.lists(st.tuples(numbers, st.floats(0, 5), st.floats(0, 8), st.floats(0, 1)), min_size=1, max_size=20),
    st.sampled_from([15, 60, 75]), st.floats(0, 2), st.floats(0, 2), st.floats(0.1, 1), st.booleans(),
)  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_one_and_many_are_the_same_bits(rows, horizon, margin, extra, shrink, demonstrated):
    rule = SignalRule(margin, extra, shrink)
    f4, sigma, cost, regime = (np.array(c) for c in zip(*rows, strict=True))
    many = signals(f4, sigma, cost, horizon, rule, demonstrated=demonstrated, regime=regime)
    for i, row in enumerate(rows):
        one = signal(row[0], row[1], row[2], horizon, rule, demonstrated=demonstrated, regime=row[3])
        assert (one.side, one.expected_bps, one.hurdle_bps, one.strength) == (
            many.side[i], many.expected_bps[i], many.hurdle_bps[i], many.strength[i]
        )  # fmt: skip
        assert one.reason == REASONS[many.reason[i]]
        assert one.action == ACTIONS[one.side]
        assert (one.side != 0) == (one.reason == GO) == (abs(one.expected_bps) > one.hurdle_bps and demonstrated)
        mirrored = signal(-row[0], row[1], row[2], horizon, rule, demonstrated=demonstrated, regime=row[3])
        assert mirrored.side == -one.side


def test_a_rule_that_cannot_be():
    for bad in ({"margin_bps": -1.0}, {"extra_cost_bps": math.nan}, {"shrink": 0.0}, {"shrink": 1.5}):
        with pytest.raises(BacktestError):
            SignalRule(**bad)

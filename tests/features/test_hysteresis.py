"""kernels/hysteresis.py and features/states.py: against brute force written from the words of the spec."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bqx.features.kernels import hysteresis as kernel
from bqx.features.kernels.hysteresis import BURN, CAP, HORIZON, TAU, TERCILES, Levels, hysteresis
from bqx.features.states import changes_support, duration_support, state_support, states_reference
from bqx.features.streams import PRICE

F8 = NDArray[np.float64]
NAN = math.nan


def brute(x: list[float], levels: Levels, cap: int, horizon: int) -> tuple[float, float, float]:
    """Name of the state, its length and the recent changes at the end of a trajectory, from its whole history."""
    into_low, from_low, from_high, into_high = levels
    history: list[str | None] = []
    name = "mid"
    for v in x:
        if math.isnan(v):
            history.append(None)
            continue
        stays = (name == "low" and not v > from_low) or (name == "high" and not v < from_high)
        if v < into_low:
            name = "low"
        elif v > into_high:
            name = "high"
        elif not stays:
            name = "mid"
        history.append(name)
    if history[-1] is None:
        return NAN, NAN, NAN
    seen = [s for s in history if s is not None]
    length = 0
    while length < len(seen) and seen[-1 - length] == seen[-1]:
        length += 1
    changes, before = 0, "mid"
    for k, s in enumerate(history):
        if s is not None:
            changes += s != before and k >= len(history) - horizon
            before = s
    return (
        {"low": -1.0, "mid": 0.0, "high": 1.0}[seen[-1]],
        math.log(1 + min(length, cap)) if len(seen) > cap else NAN,
        float(changes) if len(seen) > horizon else NAN,
    )


VALUES = st.one_of(
    st.sampled_from([0.0, 0.33, 0.4, 0.5, 0.6, 0.67, 1.0, -0.4, -0.25, 0.25, NAN, NAN]), st.floats(-1.0, 1.0)
)


@settings(max_examples=150, deadline=None)
@given(
    x=st.lists(VALUES, min_size=1, max_size=60),
    breaks=st.sets(st.integers(1, 59), max_size=3),
    numbers=st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(0, 40)),
    levels=st.sampled_from([TERCILES, TAU]),
)
def test_against_brute_force(x: list[float], breaks: set[int], numbers: tuple[int, int, int], levels: Levels) -> None:
    cap, horizon, burn = numbers
    starts = [0, *sorted(b for b in breaks if b < len(x))]
    age = np.concatenate([np.arange(b - a, dtype=np.int32) for a, b in zip(starts, [*starts[1:], len(x)], strict=True)])
    found = hysteresis(np.array(x)[:, None], age, levels, 1, cap, horizon, burn)
    for r in range(len(x)):
        first = max(0, r - int(age[r]) - burn)
        state, duration, changes = brute(x[first : r + 1], levels, cap, horizon)
        got = tuple(float(v[r, 0]) for v in found)
        assert got == pytest.approx((1 + state, duration, changes), rel=1e-15, nan_ok=True), r


def test_by_hand() -> None:
    """Enter below 0.33, leave above 0.40; the edges themselves neither enter nor leave."""
    x = np.array([0.5, 0.33, 0.32, 0.40, NAN, 0.41, 0.67, 0.68, 0.60, 0.59, 0.1, 0.9, 0.65, 0.2, 0.65])[:, None]
    age = np.arange(len(x), dtype=np.int32)
    state, duration, changes = hysteresis(x, age, TERCILES, 1, 3, 2, 0)
    assert state[:, 0].tolist() == pytest.approx([1, 1, 0, 0, NAN, 1, 1, 2, 2, 1, 0, 2, 2, 0, 1], nan_ok=True)
    lengths = np.exp(duration[:, 0]) - 1
    assert lengths.tolist() == pytest.approx([NAN] * 3 + [2, NAN, 1, 2, 1, 2, 1, 1, 1, 2, 1, 1], nan_ok=True)
    # row 5: the change at row 2 lies four minutes back; low to high at row 11 is one change
    assert changes[:, 0].tolist() == pytest.approx([NAN, NAN, 1, 1, NAN, 1, 1, 1, 1, 1, 2, 2, 1, 1, 2], nan_ok=True)


def series(rows: int, lanes: int, seed: int = 0) -> F8:
    """Slow waves around 0.5 with runs of NULL."""
    rng = np.random.default_rng(seed)
    x = np.empty((rows, lanes))
    x[0] = 0.5
    for r in range(1, rows):
        x[r] = 0.5 + 0.995 * (x[r - 1] - 0.5) + 0.02 * rng.standard_normal(lanes)
    for _ in range(rows // 300):
        at, lane = rng.integers(rows), rng.integers(lanes)
        x[at : at + rng.integers(1, 120), lane] = NAN
    return np.clip(x, 0.0, 1.0)


def weeks(rows: int, length: int) -> NDArray[np.int32]:
    return (np.arange(rows) % length).astype(np.int32)


def test_full_size_against_the_reference() -> None:
    rows = 26_000
    x, age = series(rows, 3), weeks(rows, 7100)
    x[9000:, 2] = 0.9
    found = hysteresis(x, age, TERCILES, 1)
    assert min(int((~np.isnan(v)).sum()) for v in found) > 20_000
    assert np.nanmax(found[1]) == pytest.approx(math.log(1 + CAP), rel=1e-15)
    assert np.nanmax(found[2]) > 10
    for r in [*range(7195, 7215), *range(8600, rows, 1171)]:
        for j in range(3):
            want = states_reference(x[:, j], r - int(age[r]), r, TERCILES, 1)
            for one, value in zip(want, found, strict=True):
                if not np.isnan(value[r, j]):
                    assert value[r, j] == pytest.approx(one, rel=1e-15), (r, j)


def test_the_start_in_the_middle_is_forgotten() -> None:
    """Where a duration or a count is emitted, an older start of the bars moves nothing in the first segment."""
    rows = 20_000
    x = series(rows, 2, 5)
    long = hysteresis(x, np.arange(rows, dtype=np.int32), TERCILES, 1)
    cut = 3000
    short = hysteresis(x[cut:], np.arange(rows - cut, dtype=np.int32), TERCILES, 1)
    for a, b in zip(long[1:], short[1:], strict=True):
        both = ~np.isnan(b)
        assert both.sum() > 10_000
        np.testing.assert_array_equal(a[cut:][both], b[both])


def test_mirror() -> None:
    """x -> -x turns -1 into 1 and leaves durations and counts."""
    x = 2 * series(12_000, 2, 3) - 1
    age = weeks(12_000, 5000)
    up, down = hysteresis(x, age, TAU, 0), hysteresis(-x, age, TAU, 0)
    assert set(np.unique(up[0][~np.isnan(up[0])])) == {-1.0, 0.0, 1.0}
    np.testing.assert_array_equal(up[0], 0.0 - down[0])
    np.testing.assert_array_equal(up[1], down[1])
    np.testing.assert_array_equal(up[2], down[2])


def test_one_lane_and_many_and_live_give_the_same_bits() -> None:
    """Live: the current segment's trajectory, and the coming one's beside it; rings are of the horizon's length."""
    rows, cap, horizon, burn = 3000, 80, 50, 300
    x, age = series(rows, 28, 9), weeks(rows, 700)
    whole = hysteresis(x, age, TERCILES, 1, cap, horizon, burn)
    for j in (0, 13, 27):
        one = hysteresis(np.ascontiguousarray(x[:, j : j + 1]), age, TERCILES, 1, cap, horizon, burn)
        for a, b in zip(one, whole, strict=True):
            np.testing.assert_array_equal(a[:, 0].view(np.int64), b[:, j].view(np.int64))

    def fresh() -> tuple[F8, F8]:
        return np.zeros((kernel.STATE_ROWS, 28)), np.zeros((horizon, 28))

    now, coming = fresh(), fresh()
    out = (np.empty((1, 28)), np.empty((1, 28)), np.empty((1, 28)))
    for r in range(rows):
        if age[r] == 0 and r > 0:
            now, coming = coming, fresh()
        row = x[r : r + 1].copy()
        kernel.hysteresis_step(row, 0, r, TERCILES, float(cap), *now)
        if age[r] >= 700 - burn:
            kernel.hysteresis_step(row, 0, r, TERCILES, float(cap), *coming)
        kernel.hysteresis_row(row, 0, 1.0, float(cap), float(horizon), now[0], out, 0)
        for live, batch in zip(out, whole, strict=True):
            np.testing.assert_array_equal(live[0].view(np.int64), batch[r].view(np.int64))


def test_supports() -> None:
    """All see back the burn; only durations and counts wait for values."""
    assert BURN >= 1.2 * CAP
    assert [f(PRICE).warmup for f in (state_support, changes_support, duration_support)] == [1, HORIZON + 1, CAP + 1]


if __name__ == "__main__":
    x, age = series(44_000, 28), weeks(44_000, 7100)
    for _ in range(3):
        t = time.thread_time()
        hysteresis(x, age, TERCILES, 1)
        print((time.thread_time() - t) / x.size / 3 * 1e9, "ns a value")

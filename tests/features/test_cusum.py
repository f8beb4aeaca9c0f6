"""CUSUM: golden numbers of the literature, brute force, live and batch; its promises are in test_promises."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray

from bqx.base.errors import FeatureError
from bqx.features.families import hmm_regime_cusum as family
from bqx.features.families.hmm_regime_cusum_reference import before_reference, trajectory_reference
from bqx.features.kernels.before import before_row, before_step, score_before
from bqx.features.kernels.cusum import CUSUM_ROWS, clear, cusum, cusum_row, cusum_step, log_square
from bqx.features.kernels.sums import STATE_ROWS
from bqx.features.support import needed

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
K, H, DAY = 0.5, 5.0, 1440
EPS = float(np.finfo(float).eps)


def ages(*lengths: int) -> I4:
    return np.concatenate([np.arange(n) for n in lengths]).astype(np.int32)


def plain(z: F8, need: int = 1) -> tuple[F8, ...]:
    """Sums of one long segment."""
    return cusum(z, ages(len(z)), K, H, DAY, need, 0)


def column(*values: float) -> F8:
    return np.array(values)[:, None]


def same(a: F8, b: F8) -> bool:
    return bool(((a == b) | (np.isnan(a) & np.isnan(b))).all())


def test_by_hand() -> None:
    """Rises of 2: 1.5 a bar; the alarm shows the 6 that gave it, then both sums begin at 0."""
    up, down, alarm, age = (x[:, 0].tolist() for x in plain(column(2, 2, 2, 2, 1, -1, -6, 0)))
    assert up == [1.5, 3.0, 4.5, 6.0, 0.5, 0.0, 0.0, 0.0]
    assert down == [0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 6.0, 0.0]
    assert alarm == [0, 0, 0, 1, 0, 0, -1, 0]
    assert age == [DAY, DAY, DAY, 0, 1, 2, 0, 1]


def test_null_holds_and_the_limit_itself_is_no_alarm() -> None:
    up, down, alarm, age = (x[:, 0] for x in plain(column(5.5, np.nan, 0.75)))
    assert up.tolist()[0] == 5.0 and alarm[0] == 0
    assert np.isnan([up[1], down[1], alarm[1], age[1]]).all()
    assert up[2] == 5.25 and alarm[2] == 1


def test_ages_stop_and_need_counts_values() -> None:
    z = np.zeros((3000, 1))
    z[10] = 9.0
    z[500:600] = np.nan
    age = cusum(z, ages(3000), K, H, DAY, DAY + 1, 0)[3][:, 0]
    assert np.isnan(age[: DAY + 100]).all()
    assert age[DAY + 100] == DAY + 100 - 100 - 10
    assert age[2999] == DAY


# Montgomery, Introduction to Statistical Quality Control (2009), table 9.3: k = 1/2, h = 5
LENGTHS = {0.0: 465.0, 0.25: 139.0, 0.5: 38.0, 1.0: 10.4, 2.0: 4.01}


@pytest.mark.parametrize("shift", LENGTHS)
def test_average_run_length(shift: float) -> None:
    """Bars until the first alarm on independent normal scores; alarms are renewals. Seed 0; 3 % is four deviations."""
    rows = 20_000 if shift == 0.0 else 5_000
    z = np.random.default_rng(0).standard_normal((rows, 500)) + shift
    alarms = np.abs(plain(z)[2]).sum()
    assert z.size / alarms == pytest.approx(LENGTHS[shift], rel=0.03)


def hard(kind: str) -> F8:
    rng = np.random.default_rng(3)
    x = rng.standard_t(3, (6000, 3))
    x[rng.random(x.shape) < 0.01] = np.nan
    if kind == "spike":
        x[2000, 0] = 1e7
    elif kind == "level":
        x += 1e5
    elif kind == "quiet":
        x[1500:] *= 1e-4
    elif kind == "still":
        x[1500:4000, 1] = 0.25
    return x


@pytest.mark.parametrize("kind", ["plain", "spike", "level", "quiet", "still"])
def test_scores_against_exact_arithmetic(kind: str) -> None:
    """50 digits; the error allowed grows with |x - mean| / deviation, the condition of a difference."""
    x = hard(kind)
    z, deviation = score_before(x, ages(2500, 3500), DAY, needed(DAY))
    assert (~np.isnan(z)).sum() > 8_000
    rng = np.random.default_rng(4)
    checked = 0
    with mpmath.workdps(50):
        for r, j in zip(rng.integers(DAY, 6000, 60), rng.integers(0, 3, 60), strict=True):
            past = [mpmath.mpf(v) for v in x[r - DAY : r, j].tolist() if not math.isnan(v)]
            mean = mpmath.fsum(past) / len(past)
            sd = mpmath.sqrt(mpmath.fsum((v - mean) ** 2 for v in past) / (len(past) - 1))
            if sd == 0 or math.isnan(x[r, j]):
                assert np.isnan(z[r, j])
                continue
            assert abs(deviation[r, j] / sd - 1) < 1e-12
            assert abs(z[r, j] - (x[r, j] - mean) / sd) < 1000 * EPS * (1 + abs(x[r, j]) / sd)
            checked += 1
    assert checked > 30


def test_still_windows_have_no_score() -> None:
    x = hard("still")
    z = score_before(x, ages(6000), DAY, needed(DAY))[0]
    assert np.isnan(z[1500 + DAY : 4000, 1]).all()
    assert (~np.isnan(z[4010:, 1])).mean() > 0.9


def test_the_value_itself_is_not_in_its_window() -> None:
    x = hard("plain")
    changed = x.copy()
    changed[3000] = 50.0
    z, deviation = score_before(x, ages(6000), DAY, needed(DAY))
    other, its = score_before(changed, ages(6000), DAY, needed(DAY))
    assert same(deviation[:3001], its[:3001])
    assert not same(deviation[3001:3002], its[3001:3002])
    assert same(z[:3000], other[:3000])


def test_log_square() -> None:
    got = log_square(column(3.0, 0.0, np.nan, 2.0), column(4.0, 4.0, 1.0, np.nan), 0.01)[:, 0]
    assert got[:2] == pytest.approx([math.log(9.16), math.log(0.16)], rel=1e-15)
    assert np.isnan(got[2:]).all()


def brute(z: F8, seg_age: I4) -> list[F8]:
    """All trajectories by the reference, joined, (n, pairs) each."""
    starts = [*np.flatnonzero(seg_age == 0).tolist(), len(z)]
    lanes = [
        np.concatenate([trajectory_reference(z[:, j], a, b) for a, b in pairwise(starts)], axis=1)
        for j in range(z.shape[1])
    ]
    return list(np.stack(lanes, axis=2))


def scores() -> tuple[F8, I4]:
    z = np.random.default_rng(8).standard_t(4, (9000, 4))
    z[3500:3700, 1] = np.nan
    z[2000:2300, 2] += 1.0
    return z, ages(3000, 2500, 300, 3200)


def test_trajectories_against_brute_force() -> None:
    z, seg_age = scores()
    for got, want in zip(cusum(z, seg_age, K, H, DAY, 1, family.BURN), brute(z, seg_age), strict=True):
        assert np.array_equal(np.isnan(got), np.isnan(want))
        assert np.nanmax(np.abs(got - want)) < 1e-12


Bug = Callable[[F8, I4], tuple[F8, ...]]
BUGS: dict[str, Bug] = {
    "slack of one": lambda z, a: cusum(z, a, 1.0, H, DAY, 1, family.BURN),
    "alarm at 4": lambda z, a: cusum(z, a, K, 4.0, DAY, 1, family.BURN),
    "ages that go on": lambda z, a: cusum(z, a, K, H, 10 * DAY, 1, family.BURN),
    "fresh at each segment": lambda z, a: cusum(z, a, K, H, DAY, 1, 0),
    "NULL taken as 0": lambda z, a: cusum(np.nan_to_num(z), a, K, H, DAY, 1, family.BURN),
    "sides exchanged": lambda z, a: cusum(-z, a, K, H, DAY, 1, family.BURN),
}


@pytest.mark.parametrize("bug", BUGS)
def test_planted_bug_is_found(bug: str) -> None:
    z, seg_age = scores()
    found = [
        not np.array_equal(np.isnan(got), np.isnan(want)) or np.nanmax(np.abs(got - want)) > 1e-12
        for got, want in zip(BUGS[bug](z, seg_age), brute(z, seg_age), strict=True)
    ]
    assert any(found)


def test_mirror() -> None:
    z, seg_age = scores()
    up, down, alarm, age = cusum(z, seg_age, K, H, DAY, 1, family.BURN)
    other = cusum(-z, seg_age, K, H, DAY, 1, family.BURN)
    assert all(same(a, b) for a, b in zip((down, up, -alarm, age), other, strict=True))


def test_lanes_do_not_meet() -> None:
    x, seg_age = hard("spike"), ages(2500, 3500)
    wide = np.tile(x, (1, 10))[:, :28].copy()
    for a, b in zip(score_before(x[:, 1:2].copy(), seg_age, DAY, needed(DAY)),
                    score_before(wide, seg_age, DAY, needed(DAY)), strict=True):  # fmt: skip
        assert same(a[:, 0], b[:, 4])
    z, seg_age = scores()
    for a, b in zip(cusum(z[:, 1:2].copy(), seg_age, K, H, DAY, 1, 1728),
                    cusum(np.tile(z, (1, 7)), seg_age, K, H, DAY, 1, 1728), strict=True):  # fmt: skip
        assert same(a[:, 0], b[:, 5])


def test_live_scores() -> None:
    """Bar by bar over a ring no longer than it must be."""
    x, seg_age = hard("spike"), ages(2500, 3500)
    n, lanes, cap = len(x), x.shape[1], DAY + 2
    ring, state = np.full((cap, lanes), np.nan), np.zeros((STATE_ROWS, lanes))
    run, last = np.zeros(lanes), np.full(lanes, np.nan)
    live = np.empty((2, n, lanes))
    for r in range(n):
        ring[r % cap] = x[r]
        before_step(ring, r, seg_age[r], DAY, state, run, last)
        before_row(ring, r, float(needed(DAY)), state, run, live[0], live[1], r)
    for a, b in zip(live, score_before(x, seg_age, DAY, needed(DAY)), strict=True):
        assert same(a, b)


def test_live_sums_with_the_next_trajectory_alongside() -> None:
    z, seg_age = scores()
    n, lanes = z.shape
    opens = [int(o) for o in np.flatnonzero(seg_age == 0)]
    states: dict[int, F8] = {}
    live = tuple(np.empty_like(z) for _ in range(4))
    for r in range(n):
        for start in opens:
            if start - family.BURN <= r and start not in states:
                states[start] = np.empty((CUSUM_ROWS, lanes))
                clear(float(DAY), states[start])
        now = max(o for o in opens if o <= r)
        for start, state in states.items():
            if start == now or start > r:
                cusum_step(z[r : r + 1].copy(), 0, K, H, float(DAY), state)
        cusum_row(100.0, states[now], live, r)
    for a, b in zip(live, cusum(z, seg_age, K, H, DAY, 100, family.BURN), strict=True):
        assert same(a, b)


def test_fresh_trajectories_forget() -> None:
    """What declares the head start: begun 1,728 bars before a segment or 5,000, less than 1 in 1,000 sums differ once
    1,441 values were taken in, on noise; both have had an alarm at one bar, or both sums at 0."""
    z = np.random.default_rng(5).standard_normal((60_000, 20))
    seg_age = ages(*[6000] * 10)
    short, long = (cusum(z, seg_age, K, H, DAY, family.NEED, burn) for burn in (family.BURN, 5000))
    late = slice(6000, None)
    for a, b in zip(short, long, strict=True):
        assert (~np.isnan(a[late])).all()
        assert (a[late] != b[late]).mean() < 1e-3


@pytest.mark.parametrize(("part", "size", "power"), [("mean", 0.5, 0.95), ("mean", 1.0, 0.99), ("var", 2.0, 0.95)])
def test_planted_breaks_are_found(part: str, size: float, power: float) -> None:
    """A lasting rise of the mean by `size` deviations, or of the deviation `size` times, after 3,000 bars of noise: an
    alarm of that side within 200 bars in at least `power` of 200 lanes, in 200 bars of noise in fewer than half. Scores
    are against the day before, as in the columns."""
    rng = np.random.default_rng(11)
    x = rng.standard_normal((4000, 200))
    if part == "mean":
        x[3500:] += size
    else:
        x[3500:] *= size
    z, deviation = score_before(x, ages(4000), DAY, needed(DAY))
    if part == "var":
        z = score_before(log_square(x, deviation, family.FLOOR_PART), ages(4000), DAY, needed(DAY))[0]
    alarm = cusum(z, ages(4000), K, H, DAY, 1, 0)[2]
    assert (alarm[3500:3700] == 1).any(axis=0).mean() >= power
    assert (alarm[3300:3500] == 1).any(axis=0).mean() < 0.5


def test_reference_of_scores_is_another_way() -> None:
    x = hard("plain")[:, 0]
    mean, deviation = before_reference(x)
    past = [Fraction(v) for v in x[3000 - DAY : 3000].tolist() if not math.isnan(v)]
    exact = sum(past) / len(past)
    assert mean[3000] == pytest.approx(float(exact), rel=1e-13)
    assert deviation[3000] ** 2 == pytest.approx(
        float(sum((v - exact) ** 2 for v in past) / (len(past) - 1)), rel=1e-13
    )


def test_names() -> None:
    names = [c.name for domain in ("rate", "bqx") for c in family.columns(domain)]  # type: ignore[arg-type]
    assert len(set(names)) == 24
    assert [family.parse(n)[2] for n in names] == ["rate"] * 12 + ["bqx"] * 12
    for wrong in ("cusum_pos_mean", "cusum_up_mean_rate", "hmm_p_calm_1m_rate"):
        with pytest.raises(FeatureError):
            family.parse(wrong)

"""BOCPD against brute force, published breaks and planted ones; its promises are in test_promises."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from typing import cast

import mpmath
import numpy as np
import pytest
import scipy.stats
from numpy.typing import NDArray
from statsmodels.datasets import nile

from bqx.base.errors import FeatureError
from bqx.features.families import hmm_regime_bocpd as family
from bqx.features.families.hmm_regime_bocpd_reference import input_reference
from bqx.features.kernels import run_lengths
from bqx.features.kernels.change_points import QUANTITIES, change_point_row, change_points
from bqx.features.kernels.run_lengths import HEAD_ROWS, LONGEST, MASS, SLOT_ROWS, SLOTS, begin, constants
from bqx.features.streams import Streams
from bqx.market.calendar import DAY, Calendar, Grid, minute_of

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
HAZARDS = (1 / 250, 1 / 1000)
NEVER = 10**6
"""No births become one."""


def ages(*lengths: int) -> I4:
    return np.concatenate([np.arange(n) for n in lengths]).astype(np.int32)


def run(x: F8, variance: F8 | float = 1.0, least: float = 1e-6, fine: int = 64, need: int = 1) -> F8:
    """One trajectory of each lane, no head start. Shape (2, QUANTITIES, n, lanes)."""
    x = x.reshape(len(x), -1)
    v = np.broadcast_to(np.reshape(variance, (-1, 1)), x.shape)
    wanted = np.ones((1, x.shape[1]), dtype=bool)
    out = change_points(x, np.ascontiguousarray(v), ages(len(x)), wanted, HAZARDS, need, 0, least, fine)
    return np.stack(out).reshape(2, QUANTITIES, *x.shape)


def exact(x: F8, variance: F8, hazard: float, longest: int = NEVER) -> F8:
    """Adams and MacKay's algorithm as published, scipy's t distribution as predictive. Shape (QUANTITIES, n)."""
    out = np.empty((QUANTITIES, len(x)))
    total, squares, prior, p = np.zeros(1), np.zeros(1), np.zeros(1), np.ones(1)
    for t, value in enumerate(x.tolist()):
        prior[0] = variance[t]
        n = np.arange(len(p), dtype=float)
        kappa, alpha, mean = 1 + n, 2 + n / 2, total / (1 + n)
        beta = prior + 0.5 * (squares - total**2 / kappa)
        scale = np.sqrt(beta * (kappa + 1) / (alpha * kappa))
        grown = p * scipy.stats.t.pdf((value - mean) / scale, 2 * alpha) / scale
        p = np.r_[hazard, (1 - hazard) * grown / grown.sum()]
        total, squares = np.r_[0.0, total + value], np.r_[0.0, squares + value**2]
        prior = np.r_[variance[t], prior]
        if len(p) > longest + 1:
            p, total, squares, prior = (v[: longest + 1] for v in (p / p[: longest + 1].sum(), total, squares, prior))
        n = np.arange(len(p), dtype=float)
        at = int(np.argmax(p))
        beta = prior[at] + 0.5 * (squares[at] - total[at] ** 2 / (1 + at))
        some = p[p > 0]
        out[:, t] = (
            math.log(1 + at), math.log(1 + np.sum(p * n)), np.sum(p[:16]),
            -np.sum(some * np.log(some)) / math.log(SLOTS),
            math.log(beta * (at + 2) / ((1 + at / 2) * (1 + at)) / variance[t]),
        )  # fmt: skip
    return out


def with_breaks(n: int, seed: int) -> F8:
    """Heavy tails; mean and deviation change every 400 values or so."""
    rng = np.random.default_rng(seed)
    x, t = rng.standard_t(4, n) / math.sqrt(2), 0
    while t < n:
        length = int(rng.exponential(400)) + 1
        x[t : t + length] = x[t : t + length] * math.exp(0.5 * rng.standard_normal()) + 0.2 * rng.standard_normal()
        t += length
    return x


def trailing(x: F8) -> F8:
    """A variance that moves, as the columns' does."""
    total = np.cumsum(np.r_[0.0, np.ones(1440), x**2])
    return np.asarray((total[1440:] - total[:-1440])[: len(x)] / 1440)


def test_constants_against_50_digits() -> None:
    table = constants()
    with mpmath.workdps(50):
        for n in (0, 1, 2, 3, 10, 63, 500, 1999, LONGEST):
            a, k = mpmath.mpf(2) + mpmath.mpf(n) / 2, mpmath.mpf(1 + n)
            want = mpmath.loggamma(a + 0.5) - mpmath.loggamma(a) + mpmath.log(k / (2 * mpmath.pi * (k + 1))) / 2
            assert abs(table[n] - want) < 4e-16 * (1 + abs(want))


@pytest.mark.parametrize("seed", [0, 1])
def test_first_values_are_exact(seed: int) -> None:
    """Up to 64 values nothing has become one; what is dropped weighs a millionth at most."""
    x = with_breaks(300, seed)
    v = trailing(x)
    thinned, whole = run(x, v), run(x, v, least=0.0, fine=NEVER)
    for h, hazard in enumerate(HAZARDS):
        want = exact(x, v, hazard)
        assert np.abs(whole[h, :, :, 0] - want).max() < 1e-11, "all 300, when nothing is thinned"
        assert np.abs(thinned[h, :, :8, 0] - want[:, :8]).max() < 1e-13
        assert np.abs(thinned[h, :, :64, 0] - want[:, :64]).max() < 2e-4


Change = Callable[[F8, F8], tuple[F8, F8]]
Change1 = Callable[[F8], F8]
BUGS: dict[str, Change] = {
    "a value late": lambda x, v: (np.r_[0.0, x[:-1]], v),
    "beta twice the variance": lambda x, v: (x, 2 * v),
    "beta of the next bar": lambda x, v: (x, np.r_[v[1:], v[-1]]),
    "about the mean of the future": lambda x, v: (x - x.mean(), v),
}


@pytest.mark.parametrize("bug", BUGS)
def test_planted_bug_is_found(bug: str) -> None:
    x = with_breaks(300, 0)
    v = trailing(x)
    got = run(*BUGS[bug](x, v), least=0.0, fine=NEVER)
    assert np.abs(got[0, :, :, 0] - exact(x, v, HAZARDS[0])).max() > 1e-4


@pytest.mark.parametrize("shift", [-1, 1])
def test_wrong_constants_are_found(shift: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x = with_breaks(200, 0)
    wrong = np.roll(constants(), shift)
    monkeypatch.setattr("bqx.features.kernels.change_points.constants", lambda: wrong)
    got = run(x, least=0.0, fine=NEVER)
    assert np.abs(got[0, :, :, 0] - exact(x, np.ones(200), HAZARDS[0])).max() > 1e-4


@cache
def long_pair(kind: str) -> tuple[F8, F8]:
    """Thinned and exact quantities of values 2,300 .. 4,500, shape (2, QUANTITIES, n)."""
    n = 4500
    x = with_breaks(n, 7) if kind == "breaks" else np.random.default_rng(7).standard_normal(n)
    v = trailing(x)
    want = np.stack([exact(x, v, hazard, LONGEST) for hazard in HAZARDS])
    return run(x, v)[..., 0][..., 2300:], want[..., 2300:]


@pytest.mark.parametrize("kind", ["breaks", "noise"])
def test_thinned_against_exact(kind: str) -> None:
    got, want = long_pair(kind)
    least = {"breaks": (0.97, 0.995, 0.995, None, 0.98), "noise": (None, 0.995, 0.995, None, None)}[kind]
    for h in range(2):
        for k, bar in enumerate(least):
            if bar is not None:
                found = float(np.corrcoef(got[h, k], want[h, k])[0, 1])
                assert found >= bar, f"{family.KINDS[k]}, hazard {h}: {found:.4f}"


def test_nile() -> None:
    """The flow of the Nile 1871-1970 fell in 1898 or 1899 (Cobb 1978), before the first dam at Aswan."""
    flow = nile.load_pandas().data["volume"].to_numpy()
    x = (flow - flow.mean()) / flow.std()
    length = np.expm1(run(x)[:, 0, :, 0])
    for h in range(2):
        begun = 1871 + 100 - length[h, -1]
        assert 1898 <= begun <= 1900
        assert length[h, 1897 - 1871] == pytest.approx(27), "before it, one run"


CHANGES: dict[str, Change1] = {
    "twice as loud": lambda x: 2.0 * x,
    "half as loud": lambda x: 0.5 * x,
    "a deviation higher": lambda x: x + 1.0,
}


@pytest.mark.parametrize("change", CHANGES)
def test_power_a_hundred_values_later(change: str) -> None:
    """200 lanes of noise that changes at value 1,000: at value 1,100 the most probable run began within 15 values of
    that in more than 9 of 10, by either hazard; without change it is never shorter than 130 values (seed 5)."""
    x = np.random.default_rng(5).standard_normal((1100, 200))
    assert np.expm1(run(x)[:, 0, -1]).min() > 130
    x[1000:] = CHANGES[change](x[1000:])
    length = np.expm1(run(x)[:, 0, -1])
    assert (np.abs(length - 100) <= 15).mean(axis=1).min() > 0.9


@pytest.mark.parametrize("change", [lambda x: 3.0 * x, lambda x: x + 2.0], ids=["three times as loud", "2 sd higher"])
def test_power_and_size_of_an_alarm(change: Change1) -> None:
    """p_recent above 1/2, hazard 1/250: within 20 values of a change in more than 95 of 100 lanes; in 40 values of
    noise in fewer than 5 of 100, on fewer than 3 bars of 1,000."""
    x = np.random.default_rng(6).standard_normal((1040, 400))
    x[1000:, :200] = change(x[1000:, :200])
    alarm = run(x)[0, 2] > 0.5
    assert alarm[1000:1020, :200].any(axis=0).mean() > 0.95
    assert alarm[1000:, 200:].any(axis=0).mean() < 0.05
    assert alarm[500:1000].mean() < 0.003


def noisy(n: int, seed: int) -> F8:
    x = np.stack([with_breaks(n, seed), np.random.default_rng(seed).standard_normal(n)], axis=1)
    x[700:760, 0] = np.nan
    x[10, 1] = 1e12
    return x


def test_hard_values_stay_in_bounds() -> None:
    x = np.stack([noisy(3000, 3)[:, 1], np.zeros(3000), np.where(np.arange(3000) < 1500, 0.0, 1e-8),
                  np.where(np.arange(3000) % 500 == 0, -1e9, 1.0)], axis=1)  # fmt: skip
    out = run(x)
    assert np.isfinite(out).all()
    assert out[:, :4].min() >= 0.0
    assert out[:, :2].max() <= math.log(1 + LONGEST)
    assert out[:, 2:4].max() <= 1.0
    assert (out[0, 2] >= HAZARDS[0]).all() and (out[1, 2] >= HAZARDS[1]).all()


def state() -> tuple[F8, F8]:
    slots, head = np.zeros((SLOT_ROWS, SLOTS)), np.zeros(HEAD_ROWS)
    begin(slots, head)
    return slots, head


def take(value: float, variance: float, slots: F8, head: F8) -> None:
    run_lengths.run_lengths_step(value, variance, HAZARDS, 1e-6, 64, constants(), slots, head)


def test_masses_sum_to_one_in_at_most_314_slots() -> None:
    slots, head = state()
    most = 0
    for value in np.random.default_rng(2).standard_normal(2600).tolist():
        take(value, 1.0, slots, head)
        used = int(head[run_lengths.USED])
        most = max(most, used)
        for h in range(2):
            masses = slots[MASS + h, :used] * head[run_lengths.SCALE + h]
            assert math.fsum(masses) == pytest.approx(1.0, abs=1e-13)
            assert masses[-1] == pytest.approx(HAZARDS[h], rel=1e-15)
            logs = slots[run_lengths.LOG_MASS + h, :used] + head[run_lengths.LOG_SCALE + h]
            heavy = masses > 1e-12
            assert np.abs(np.exp(logs[heavy]) / masses[heavy] - 1).max() < 1e-10, "two ways to one mass"
    assert most == SLOTS
    assert slots[run_lengths.LENGTH, 0] <= LONGEST


def test_live_with_the_next_trajectory_alongside() -> None:
    x = noisy(2600, 4)
    v = np.stack([trailing(np.clip(np.nan_to_num(lane), -9, 9)) for lane in x.T], axis=1)
    seg_age, burn, need = ages(1000, 300, 1300), 600, 200
    wanted = np.ones((3, 2), dtype=bool)
    batch = np.stack(change_points(x, v, seg_age, wanted, HAZARDS, need, burn)).reshape(2, QUANTITIES, *x.shape)
    opens = np.flatnonzero(seg_age == 0).tolist()
    live = np.full_like(batch, np.nan)
    for j in range(2):
        states: dict[int, tuple[F8, F8]] = {}
        for r in range(len(x)):
            for start in opens:
                if start - burn <= r and start not in states:
                    states[start] = state()
            now = max(o for o in opens if o <= r)
            if np.isnan(x[r, j]):
                continue
            for start, (slots, head) in states.items():
                if start == now or start > r:
                    take(x[r, j], v[r, j], slots, head)
            slots, head = states[now]
            if head[run_lengths.TAKEN] >= need:
                for h in range(2):
                    row = np.empty(QUANTITIES)
                    change_point_row(v[r, j], HAZARDS[h], h, slots, head, row)
                    live[h, :, r, j] = row
    assert (~np.isnan(live)).sum() > 30_000
    assert ((live == batch) | (np.isnan(live) & np.isnan(batch))).all()


def same(a: F8, b: F8) -> bool:
    return bool(((a == b) | (np.isnan(a) & np.isnan(b))).all())


def test_lanes_segments_and_signs() -> None:
    """Bits do not depend on other lanes, on segments that are left out, or on the sign of the series."""
    x = noisy(2000, 6)
    v, seg_age = np.ones_like(x), ages(900, 1100)
    wanted = np.ones((2, 2), dtype=bool)
    whole = np.stack(change_points(x, v, seg_age, wanted, HAZARDS, 100, 500))
    one = np.stack(change_points(x[:, 1:].copy(), v[:, 1:].copy(), seg_age, wanted[:, 1:].copy(), HAZARDS, 100, 500))
    assert same(whole[:, :, 1:], one)
    late = np.stack(change_points(x, v, seg_age, np.array([[False, True], [True, True]]), HAZARDS, 100, 500))
    assert np.isnan(late[:, :900, 0]).all()
    assert same(whole[:, 900:], late[:, 900:])
    assert same(whole[:, :, 1], late[:, :, 1])
    assert same(whole, np.stack(change_points(-x, v, seg_age, wanted, HAZARDS, 100, 500)))
    fresh = np.stack(change_points(x[400:], v[400:], ages(500, 1100), wanted, HAZARDS, 100, 500))
    assert same(whole[:, 900:], fresh[:, 500:]), "a segment sees its head start and no further"


def test_null_holds() -> None:
    x = with_breaks(400, 2)
    holes = np.insert(x, 200, [np.nan] * 30)
    got = run(holes)
    assert np.isnan(got[:, :, 200:230]).all()
    assert same(np.delete(got, np.s_[200:230], axis=2), run(x))


def test_a_variance_of_nothing_is_null() -> None:
    out = run(np.ones(50), np.where(np.arange(50) < 20, 0.0, 1.0))
    assert np.isnan(out[:, :, :20]).all()
    assert (~np.isnan(out[:, :, 20:])).all()


@dataclass
class Fake:
    """As much of streams, panel and stream as the inputs need."""

    grid: Grid
    change: F8
    first: NDArray[np.int64]
    calendar: Calendar

    @property
    def panel(self) -> Fake:
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        return self.change.shape

    def stream(self, domain: str) -> Fake:
        return self


@pytest.fixture(scope="module")
def fake() -> Fake:
    """Ten weeks of changes with a daily cycle, a tenth of them missing; one lane begins with the panel."""
    calendar = Calendar("test", ((1, 1), (12, 25)), (date(2024, 2, 14),))
    begin = calendar.segment_start(minute_of(datetime(2024, 1, 9, tzinfo=UTC)))
    grid = calendar.grid(begin, begin + 70 * DAY)
    rng = np.random.default_rng(9)
    size = 1.0 + 0.8 * np.sin(2 * np.pi * grid.minute_of_day / DAY)
    change = size[:, None] * rng.standard_normal((len(grid), 2))
    change[rng.random(change.shape) < 0.1] = np.nan
    return Fake(grid, change, np.array([begin, begin - 99 * DAY]), calendar)


def test_changes_over_their_usual_deviation(fake: Fake) -> None:
    streams = cast("Streams", fake)
    x, variance = family.standardised_changes(streams, "rate")
    for lane in range(2):
        want = input_reference(streams, "rate", lane)
        for got, slow in zip((x[:, lane], variance[:, lane]), want, strict=True):
            assert np.array_equal(np.isnan(got), np.isnan(slow))
            assert np.nanmax(np.abs(got / np.where(slow == 0.0, 1.0, slow) - 1)) < 1e-10
    week = fake.grid.week - fake.grid.week[0]
    hours = fake.grid.minute_of_day // 60
    early, late = (week < 4) & ~np.isnan(x[:, 0]), week >= 8
    assert np.nanstd(x[early & (hours == 6), 0]) > 3 * np.nanstd(x[early & (hours == 18), 0]), "not yet"
    by_hour = [float(np.nanstd(x[late & (hours == h)])) for h in range(24)]
    assert min(by_hour) > 0.9 and max(by_hour) < 1.15, "the cycle is gone"


def test_what_the_panel_cannot_do_right_is_left_out(fake: Fake) -> None:
    """Where the pair's history begins with the panel everything is done, else what is about ten weeks in."""
    seen = family.support("rate")
    streams = cast("Streams", fake)
    done = family.complete(streams, seen)
    assert done[:, 0].all()
    assert done[-1, 1] and done[:, 1].sum() == 1
    longer = fake.calendar.grid(int(fake.grid.minute[0]), int(fake.grid.minute[0]) + 98 * DAY)
    done = family.complete(cast("Streams", Fake(longer, np.zeros((len(longer), 2)), fake.first, fake.calendar)), seen)
    opens = longer.minute[longer.seg_age == 0]
    enough = [seen.earliest(int(at), fake.calendar) >= int(longer.minute[0]) for at in opens]
    assert done[:, 1].tolist() == enough and sum(enough) == 5


def test_names() -> None:
    names = [c.name for c in family.columns("rate")] + [c.name for c in family.columns("bqx")]
    assert len(set(names)) == 20
    assert family.parse("bocpd_run_map_h1000_bqx") == ("run_map", "h1000", "bqx")
    for wrong in ("bocpd_run_map_h500_rate", "bocpd_run_h250_rate", "cusum_pos_mean_rate"):
        with pytest.raises(FeatureError):
            family.parse(wrong)

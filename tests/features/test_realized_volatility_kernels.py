"""Realised volatility kernels against plain numpy, pandas, 50 digits, hand-worked numbers and simulated diffusions."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from bqx.features.kernels import jump_volatility as jumps
from bqx.features.kernels import range_volatility as ranges
from bqx.features.kernels.mathfun import cbrt
from bqx.features.kernels.spaced import bend, bend_row, spaced_deviation, spaced_deviation_row
from bqx.features.kernels.sums import RESTART
from bqx.features.kernels.totals import TOTAL_ROWS
from bqx.features.support import needed

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
Bars = tuple[F8, F8, F8, F8]

ALL_JUMPS, ALL_RANGES = frozenset(range(jumps.JUMP_MEASURES)), frozenset(range(ranges.RANGE_MEASURES))
EPS = float(np.finfo(float).eps)
WINDOWS = (20, 60, 120, 240)


def steps(y: F8, age: I4) -> F8:
    """dy as the streams give it: since the last price of the segment, from 0 at its first."""
    out = np.full_like(y, np.nan)
    for j in range(y.shape[1]):
        last = 0.0
        for r in range(len(y)):
            last = 0.0 if age[r] == 0 else last
            if not np.isnan(y[r, j]):
                out[r, j] = y[r, j] - last
                last = y[r, j]
    return out


@pytest.fixture(scope="module")
def hard() -> tuple[Bars, I4, I4]:
    """Bars of ticks with fat tails, a jump, carried and missing minutes, a still quote; segments of 1,300 bars."""
    rng = np.random.default_rng(4)
    n, p = 2600, 3
    age = (np.arange(n) % 1300).astype(np.int32)
    x = np.round(rng.standard_t(3, (n, p)) / 0.1) * 0.1
    x[rng.random((n, p)) < 0.3] = 0.0
    x[700, 0] = 400.0
    x[600:900, 1] = 0.0
    c = np.cumsum(x, axis=0)
    o = np.vstack([np.zeros((1, p)), c[:-1]]) + 0.1 * rng.integers(-1, 2, (n, p))
    h = np.maximum(o, c) + 0.1 * rng.integers(0, 5, (n, p))
    lo = np.minimum(o, c) - 0.1 * rng.integers(0, 5, (n, p))
    fill = np.zeros((n, p), dtype=np.int32)
    o[600:900, 1] = h[600:900, 1] = lo[600:900, 1] = c[600:900, 1]
    for j in range(p):
        for start in range(80 + 31 * j, n - 20, 173):
            run = 1 + start % 9  # one to nine minutes without a quote, from the sixth on without a price
            for k in range(run):
                r = start + k
                fill[r, j] = k + 1
                price = c[start - 1, j] if k < 5 else np.nan
                o[r, j] = h[r, j] = lo[r, j] = c[r, j] = price
    return (o, h, lo, c), fill, age


def jump_values(y: F8, age: I4, w: int, wanted: frozenset[int] = ALL_JUMPS) -> tuple[F8, ...]:
    return jumps.jump_measures(jumps.jump_terms(steps(y, age), y, age), age, w, needed(w), wanted)


def range_values(bars: Bars, fill: I4, age: I4, w: int, wanted: frozenset[int] = ALL_RANGES) -> tuple[F8, ...]:
    return ranges.range_measures(ranges.range_terms(bars, fill, age), age, w, needed(w), wanted)


def jump_numpy(y: F8, age: I4, r: int, j: int, w: int) -> list[float]:
    """All measures written out from levels: loops over the window's minutes."""
    x: list[float] = []
    for k in range(r - w + 1, r + 1):
        known = age[k] > 0 and not math.isnan(y[k, j]) and not math.isnan(y[k - 1, j])
        x.append(round(float(y[k, j] - y[k - 1, j]), 9) if known else math.nan)
    v = [a for a in x if not math.isnan(a)]
    if age[r] < w - 1 or len(v) < needed(w):
        return [math.nan] * jumps.JUMP_MEASURES
    two = [abs(x[k] * x[k - 1]) for k in range(1, w) if not math.isnan(x[k] * x[k - 1])]
    three = [sorted(map(abs, x[k - 2 : k + 1])) for k in range(2, w) if not math.isnan(x[k] + x[k - 1] + x[k - 2])]
    rv = sum(a * a for a in v) / len(v) * w
    bv = math.pi / 2 * w / (w - 1) * sum(two) / len(two) * (w - 1)
    med = math.pi / (6 - 4 * math.sqrt(3) + math.pi) * w / (w - 2) * sum(t[1] ** 2 for t in three)
    med *= (w - 2) / len(three)
    mu = 2 ** (2 / 3) * math.gamma(7 / 6) / math.gamma(1 / 2)
    tq = w * mu**-3 * w / (w - 2) * sum((t[0] * t[1] * t[2]) ** (4 / 3) for t in three) * (w - 2) / len(three)
    out = [math.sqrt(rv / w), math.sqrt(bv / w), math.sqrt(med / w), math.log(tq) if tq > 0 else math.nan]
    if rv == 0:
        return [*out, *[math.nan] * 5]
    theta = math.pi**2 / 4 + math.pi - 5
    out.append((rv - bv) / rv / math.sqrt(theta / w * max(1, tq / bv**2)) if bv > 0 else math.nan)
    out.append(max(0.0, rv - bv) / rv)
    up, down = sum(a * a for a in v if a > 0), sum(a * a for a in v if a < 0)
    out.append((up - down) / (up + down))
    out.append(math.sqrt(len(v)) * sum(a**3 for a in v) / (up + down) ** 1.5)
    return [*out, math.log(rv / w)]


@pytest.mark.parametrize("w", WINDOWS)
def test_changes_by_hand_written_loops(hard: tuple[Bars, I4, I4], w: int) -> None:
    bars, _, age = hard
    found = jump_values(bars[3], age, w)
    compared = np.zeros(jumps.JUMP_MEASURES, dtype=int)
    for r in range(0, len(age), 9 if w < 200 else 17):
        for j in range(3):
            expected = jump_numpy(bars[3], age, r, j, w) if r >= w else [math.nan] * jumps.JUMP_MEASURES
            for k, want in enumerate(expected):
                have = float(found[k][r, j])
                assert math.isnan(have) == math.isnan(want), (r, j, k)
                if not math.isnan(want):
                    assert have == pytest.approx(want, rel=1e-9, abs=1e-9), (r, j, k)
                    compared[k] += 1
    assert compared.min() > 250


def range_numpy(bars: Bars, fill: I4, age: I4, r: int, j: int, w: int) -> list[float]:
    o, h, lo, c = (v[:, j] for v in bars)
    rows = [k for k in range(r - w + 1, r + 1) if fill[k, j] == 0]
    if age[r] < w - 1 or len(rows) < needed(w):
        return [math.nan] * 4
    both = [k for k in range(r - w + 1, r + 1) if age[k] > 0 and fill[k, j] == 0 and fill[k - 1, j] == 0]
    park = sum((h[k] - lo[k]) ** 2 / (4 * math.log(2)) for k in rows) / len(rows)
    garman = sum(0.5 * (h[k] - lo[k]) ** 2 - (2 * math.log(2) - 1) * (c[k] - o[k]) ** 2 for k in rows) / len(rows)
    rogers = sum((h[k] - c[k]) * (h[k] - o[k]) + (lo[k] - c[k]) * (lo[k] - o[k]) for k in rows) / len(rows)
    out = [math.sqrt(max(0.0, v)) for v in (park, garman, rogers)]
    if len(both) < needed(w):
        return [*out, math.nan]
    weight = 0.34 / (1.34 + (w + 1) / (w - 1))
    opens = float(np.var([o[k] - c[k - 1] for k in both], ddof=1))
    body = float(np.var([c[k] - o[k] for k in rows], ddof=1))
    return [*out, math.sqrt(opens + weight * body + (1 - weight) * rogers)]


@pytest.mark.parametrize("w", WINDOWS)
def test_ranges_by_hand_written_loops(hard: tuple[Bars, I4, I4], w: int) -> None:
    bars, fill, age = hard
    found = range_values(bars, fill, age, w)
    compared = np.zeros(4, dtype=int)
    for r in range(0, len(age), 9 if w < 200 else 17):
        for j in range(3):
            expected = range_numpy(bars, fill, age, r, j, w) if r >= w else [math.nan] * 4
            for k, want in enumerate(expected):
                have = float(found[k][r, j])
                assert math.isnan(have) == math.isnan(want), (r, j, k)
                if not math.isnan(want):
                    assert have == pytest.approx(want, rel=1e-9, abs=1e-9), (r, j, k)
                    compared[k] += 1
    assert compared.min() > 250


def diffusion(n: int, p: int, seed: int) -> tuple[Bars, I4, I4]:
    """Bars without holes. One segment."""
    rng = np.random.default_rng(seed)
    c = np.cumsum(rng.standard_normal((n, p)), axis=0)
    o = np.vstack([np.zeros((1, p)), c[:-1]]) + 0.2 * rng.standard_normal((n, p))
    h = np.maximum(o, c) + rng.exponential(0.4, (n, p))
    lo = np.minimum(o, c) - rng.exponential(0.4, (n, p))
    return (o, h, lo, c), np.zeros((n, p), dtype=np.int32), np.arange(n, dtype=np.int32)


@pytest.mark.parametrize("w", WINDOWS)
def test_against_pandas(w: int) -> None:
    bars, fill, age = diffusion(1500, 2, w)
    o, h, lo, c = (pd.DataFrame(v) for v in bars)
    x, full = c.diff(), slice(w + 1, None)
    found = jump_values(bars[3], age, w)
    size = x.abs()
    theirs = {
        jumps.REALIZED: (x**2).rolling(w).mean() ** 0.5,
        jumps.BIPOWER_ROOT: (np.pi / 2 * (size * size.shift()).rolling(w - 1).mean()) ** 0.5,
        jumps.SKEW: (x**3).rolling(w).sum() / (x**2).rolling(w).sum() ** 1.5 * w**0.5,
        jumps.SIGNED_JUMP: (np.sign(x) * x**2).rolling(w).sum() / (x**2).rolling(w).sum(),
        jumps.LOG: np.log((x**2).rolling(w).mean()),
    }
    for k, frame in theirs.items():
        np.testing.assert_allclose(found[k][full], frame.to_numpy()[full], rtol=1e-9, atol=1e-10)
    park, garman, rogers, yang = range_values(bars, fill, age, w)
    square, body = (h - lo) ** 2, c - o
    turns = ((h - c) * (h - o) + (lo - c) * (lo - o)).rolling(w).mean()
    k = 0.34 / (1.34 + (w + 1) / (w - 1))
    mixed = (o - c.shift()).rolling(w).var() + k * body.rolling(w).var() + (1 - k) * turns
    rest = (0.5 * square - (2 * np.log(2) - 1) * body**2).rolling(w).mean()
    pairs = ((park, square.rolling(w).mean() / (4 * np.log(2))), (garman, rest), (rogers, turns), (yang, mixed))
    for ours, variance in pairs:
        np.testing.assert_allclose(ours[full], variance.to_numpy()[full] ** 0.5, rtol=1e-9)


def test_numbers_by_hand() -> None:
    """Changes 1, -2, 3, 1 over 4 bars; bars (0, 3, -1, 2) and (2, 4, 1, 1) over 2."""
    y = np.cumsum([5.0, 1.0, -2.0, 3.0, 1.0])[:, None]
    age = np.arange(5, dtype=np.int32)
    found = [float(v[4, 0]) for v in jump_values(y, age, 4)]
    bv = math.pi / 2 * 4 / 3 * 11  # 1 x 2 + 2 x 3 + 3 x 1
    tq = 4 * 0.8308609250295591**-3 * 4 / 2 * 2 * 6 ** (4 / 3)
    assert found[jumps.REALIZED] == pytest.approx(math.sqrt(15 / 4), rel=1e-15)
    assert found[jumps.BIPOWER_ROOT] == pytest.approx(math.sqrt(bv / 4), rel=1e-15)
    assert found[jumps.MEDIAN_ROOT] == pytest.approx(math.sqrt(1.4193583020224415 * 4 / 2 * (4 + 4) / 4), rel=1e-15)
    assert found[jumps.QUARTICITY] == pytest.approx(math.log(tq), rel=1e-15)
    assert found[jumps.SIGNED_JUMP] == pytest.approx(7 / 15, rel=1e-15)
    assert found[jumps.SKEW] == pytest.approx(2 * 21 / 15**1.5, rel=1e-15)
    assert found[jumps.JUMP_SHARE] == 0.0, "BV is 23.04, above RV"
    assert found[jumps.JUMP_Z] == pytest.approx((15 - bv) / 15 / math.sqrt(0.6089937538621329 / 4), rel=1e-15)
    assert found[jumps.JUMP_Z] == pytest.approx(-1.374, abs=1e-3)
    bars = tuple(np.array(v)[:, None] for v in ([-9.0, 0, 2], [-9.0, 3, 4], [-9.0, -1, 1], [1.0, 2, 1]))
    fill, age = np.zeros((3, 1), dtype=np.int32), np.arange(3, dtype=np.int32)
    park, garman, rogers, yang = (float(v[2, 0]) for v in range_values(bars, fill, age, 2))  # type: ignore[arg-type]
    assert park == pytest.approx(math.sqrt((16 + 9) / 2 / (4 * math.log(2))), rel=1e-15)
    assert garman == pytest.approx(math.sqrt(0.5 * 12.5 - (2 * math.log(2) - 1) * (4 + 1) / 2), rel=1e-15)
    # 1 x 3 + 3 x 1 and 3 x 2 + 0; o - c before: -1, 0; c - o: 2, -1
    assert rogers == pytest.approx(math.sqrt(6), rel=1e-15)
    k = 0.34 / (1.34 + 3)
    assert yang == pytest.approx(math.sqrt(0.5 + k * 4.5 + (1 - k) * 6), rel=1e-15)


def test_constants_against_mpmath() -> None:
    with mpmath.workdps(40):
        mu = mpmath.mpf(2) ** (mpmath.mpf(2) / 3) * mpmath.gamma(mpmath.mpf(7) / 6) / mpmath.gamma(mpmath.mpf(1) / 2)
        exact = {
            jumps.BIPOWER: mpmath.pi / 2,
            jumps.TRIPOWER: mu**-3,
            jumps.MEDIAN: mpmath.pi / (6 - 4 * mpmath.sqrt(3) + mpmath.pi),
            jumps.SPREAD: mpmath.pi**2 / 4 + mpmath.pi - 5,
            ranges.RANGE_WEIGHT: 1 / (4 * mpmath.log(2)),
            ranges.BODY_WEIGHT: 2 * mpmath.log(2) - 1,
        }
        assert float(mu) == pytest.approx(0.8309, abs=5e-5)
        for ours, want in exact.items():
            assert ours == float(want)


def test_product_times_its_cube_root_is_the_more_exact() -> None:
    """(abc)^(4/3) to 3 ulp; p * cbrt(p) does not lose range where p^4 does."""
    rng = np.random.default_rng(0)
    worst = 0.0
    with mpmath.workdps(50):
        for a, b, c in rng.lognormal(0, 4, (400, 3)):
            product = (a * b) * c
            exact = (mpmath.mpf(a) * mpmath.mpf(b) * mpmath.mpf(c)) ** (mpmath.mpf(4) / 3)
            worst = max(worst, float(abs(product * cbrt(product) - exact) / exact))
    assert worst <= 3 * EPS
    assert 1e90 * cbrt(1e90) == pytest.approx(1e120, rel=3 * EPS)


def hard_inputs() -> dict[str, F8]:
    rng = np.random.default_rng(5)
    noise = rng.standard_normal(1500)
    spike = 1e-4 * noise
    spike[1020] = 1000.0
    return {
        "noise": noise,
        "a spike of ten million deviations before the restart": spike,
        "quiet after loud": np.r_[10 * noise[:1030], 1e-3 * noise[1030:]],
        "rising": np.abs(noise) + 0.5,
    }


@pytest.mark.parametrize("name", hard_inputs())
def test_changes_against_50_digits(name: str) -> None:
    """From the same changes; errors in units of the sums' conditions. 20 eps: half a dozen operations after the sum."""
    x = hard_inputs()[name][:, None]
    age, w = np.arange(1500, dtype=np.int32), 60
    found = jumps.jump_measures(jumps.jump_terms(x, x * 0, age), age, w, 54, ALL_JUMPS)
    with mpmath.workdps(50):
        for r in [*range(61, 1000, 97), *range(1019, 1120, 7), 1300, 1499]:
            v = [mpmath.mpf(float(a)) for a in x[r - w + 1 : r + 1, 0]]
            rv = sum(a * a for a in v)
            bv = mpmath.pi / 2 * w / (w - 1) * sum(abs(v[k] * v[k - 1]) for k in range(1, w))
            tri = sum(abs(v[k] * v[k - 1] * v[k - 2]) ** (mpmath.mpf(4) / 3) for k in range(2, w))
            tq = w * mpmath.mpf(jumps.TRIPOWER) * w / (w - 2) * tri
            med = sum(sorted(abs(a) for a in v[k - 2 : k + 1])[1] ** 2 for k in range(2, w))
            med *= mpmath.mpf(jumps.MEDIAN) * w / (w - 2)
            signed = sum(a * abs(a) for a in v) / rv
            skew = mpmath.sqrt(w) * sum(a**3 for a in v) / rv**1.5
            z = (rv - bv) / rv / mpmath.sqrt(mpmath.mpf(jumps.SPREAD) / w * max(1, tq / bv**2))
            exact = {
                jumps.REALIZED: (mpmath.sqrt(rv / w), 1),
                jumps.BIPOWER_ROOT: (mpmath.sqrt(bv / w), 1),
                jumps.MEDIAN_ROOT: (mpmath.sqrt(med / w), 1),
                jumps.QUARTICITY: (mpmath.log(tq), 1 / abs(mpmath.log(tq))),
                jumps.SIGNED_JUMP: (signed, 1 / abs(signed)),
                jumps.SKEW: (skew, mpmath.sqrt(w) * sum(abs(a) ** 3 for a in v) / rv**1.5 / abs(skew)),
                jumps.JUMP_Z: (z, (rv + bv) / abs(rv - bv)),
                jumps.LOG: (mpmath.log(rv / w), 1 / abs(mpmath.log(rv / w))),
            }
            for k, (want, condition) in exact.items():
                error = float(abs((mpmath.mpf(float(found[k][r, 0])) - want) / want))
                assert error <= 20 * EPS * max(1.0, float(condition)), (r, k)


@pytest.mark.parametrize("loud", [1.0, 1e6])
def test_ranges_against_50_digits(loud: float) -> None:
    """A bar of a million before the restart leaves nothing behind. The condition of a variance is 1 + mean^2 / var."""
    (o, h, lo, c), fill, age = diffusion(1400, 1, 8)
    h[1010] += loud
    w = 60
    found = range_values((o, h, lo, c), fill, age, w)
    k = mpmath.mpf(0.34) / (mpmath.mpf(1.34) + mpmath.mpf(61) / 59)
    with mpmath.workdps(50):
        for r in [*range(61, 1000, 97), *range(1009, 1120, 7), 1399]:
            rows = range(r - w + 1, r + 1)
            # differences of levels are rounded once, as the kernel rounds them
            wide, body, opens = ([mpmath.mpf(float(a[i, 0] - b[i - s, 0])) for i in rows]
                                 for a, b, s in ((h, lo, 0), (c, o, 0), (o, c, 1)))  # fmt: skip
            turns = (
                sum(
                    mpmath.mpf(float(h[i, 0] - c[i, 0])) * mpmath.mpf(float(h[i, 0] - o[i, 0]))
                    + mpmath.mpf(float(lo[i, 0] - c[i, 0])) * mpmath.mpf(float(lo[i, 0] - o[i, 0]))
                    for i in rows
                )
                / w
            )
            spreads = [sum((a - sum(v) / w) ** 2 for a in v) / (w - 1) for v in (opens, body)]
            square = sum(a * a for a in wide) / w
            weight = mpmath.mpf(ranges.BODY_WEIGHT)
            exact = (
                mpmath.sqrt(square * mpmath.mpf(ranges.RANGE_WEIGHT)),
                mpmath.sqrt(square / 2 - weight * sum(a * a for a in body) / w),
                mpmath.sqrt(turns),
                mpmath.sqrt(spreads[0] + k * spreads[1] + (1 - k) * turns),
            )
            for ours, want in zip(found, exact, strict=True):
                assert float(abs((mpmath.mpf(float(ours[r, 0])) - want) / want)) <= 20 * EPS, r


def test_a_window_that_does_not_move() -> None:
    """Exact zeros, and NULL for what would divide by them; what moved before leaves nothing; rounding is no move."""
    y = np.cumsum(np.random.default_rng(0).standard_normal((900, 1)) * 100, axis=0)
    y[300:600] = y[300] + 1e-12 * (np.arange(300) % 3)[:, None]
    age = np.arange(900, dtype=np.int32)
    found = jump_values(y, age, 30)
    inside, around = slice(330, 600), slice(31, 300)
    for k in (jumps.REALIZED, jumps.BIPOWER_ROOT, jumps.MEDIAN_ROOT):
        assert (found[k][inside] == 0.0).all()
    for k in (jumps.QUARTICITY, jumps.JUMP_Z, jumps.JUMP_SHARE, jumps.SIGNED_JUMP, jumps.SKEW, jumps.LOG):
        assert np.isnan(found[k][inside]).all()
        assert not np.isnan(found[k][around]).any()
    assert found[jumps.REALIZED][329, 0] > 0, "one change is left in the window"
    assert found[jumps.JUMP_SHARE][329, 0] == 1.0
    assert np.isnan(found[jumps.JUMP_Z][329, 0]), "no two adjacent changes: BV is 0"
    assert np.isnan(found[jumps.QUARTICITY][330 - 3 + 1, 0]), "no three adjacent changes"
    bars: Bars = (y, y, y, y)
    for v in range_values(bars, np.zeros_like(y, dtype=np.int32), age, 30)[:3]:
        assert (v[31:] == 0.0).all()


def test_bounds_are_reached() -> None:
    age = np.arange(400, dtype=np.int32)
    rising = np.cumsum(np.random.default_rng(1).exponential(1, 400))[:, None]
    assert (jump_values(rising, age, 60)[jumps.SIGNED_JUMP][61:] == 1.0).all()
    assert (jump_values(-rising, age, 60)[jumps.SIGNED_JUMP][61:] == -1.0).all()
    one = (age >= 200).astype(float)[:, None]
    found = jump_values(one, age, 60)
    assert found[jumps.SKEW][230, 0] == pytest.approx(math.sqrt(60), rel=1e-14)
    assert found[jumps.JUMP_SHARE][230, 0] == 1.0
    even = (age % 2).astype(float)[:, None]
    z = jump_values(even, age, 60)[jumps.JUMP_Z][100, 0]  # BV / RV = pi / 2 and TQ / BV^2 < 1 nearly: the lowest
    assert z < (1 - math.pi / 2) * math.sqrt(60 / jumps.SPREAD) * 0.9


def mirrored(bars: Bars) -> Bars:
    o, h, lo, c = bars
    return -o, -lo, -h, -c


def test_mirror(hard: tuple[Bars, I4, I4]) -> None:
    """T6: y -> -y moves no bit of a volatility and turns the signed measures round."""
    bars, fill, age = hard
    for w in (20, 240):
        for a, b in zip(range_values(bars, fill, age, w), range_values(mirrored(bars), fill, age, w), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13)
        up, down = jump_values(bars[3], age, w), jump_values(-bars[3], age, w)
        for k in range(jumps.JUMP_MEASURES):
            sign = -1.0 if k in (jumps.SIGNED_JUMP, jumps.SKEW) else 1.0
            np.testing.assert_array_equal(up[k], sign * down[k])


def brownian(bars: int, steps_: int, seed: int) -> Bars:
    """Bars of a Brownian motion with variance 1 a bar, seen at `steps_` moments each; opens at the close before."""
    rng = np.random.default_rng(seed)
    out = np.empty((4, bars))
    level = 0.0
    for k in range(bars):
        path = np.cumsum(rng.standard_normal(steps_))
        path *= steps_**-0.5
        out[:, k] = level, level + max(0.0, path.max()), level + min(0.0, path.min()), level + path[-1]
        level += path[-1]
    o, h, lo, c = (v[:, None] for v in out)
    return o, h, lo, c


def test_range_estimators_recover_sigma() -> None:
    """T8: 1,680 bars of 10,000 steps, seed 1: the mean of seven windows of 240 is within 3 % of 1. With 100 steps the
    high-low estimators are too low, for they miss the extremes."""
    fill = np.zeros((1681, 1), dtype=np.int32)
    age = np.arange(1681, dtype=np.int32)
    ends = slice(240, None, 240)

    def variances(steps_: int, seed: int) -> list[float]:
        found = range_values(brownian(1681, steps_, seed), fill, age, 240)
        return [math.sqrt(float(np.mean(v[ends] ** 2))) for v in found]

    for sigma in variances(10_000, 1):
        assert sigma == pytest.approx(1.0, abs=0.03)
    coarse = variances(100, 1)
    assert all(0.88 < sigma < 0.97 for sigma in coarse[:3])


def test_jump_measures_see_jumps_and_only_jumps() -> None:
    """T8: 6,000 windows of 240 normal changes, seed 2: z has mean about 0 and sd about 1. A jump of ten deviations
    enters RV and its share; BV takes a quarter of it, MedRV next to nothing."""
    windows, w = 6000, 240
    x = np.random.default_rng(2).standard_normal((w + 1, windows))
    age = np.arange(w + 1, dtype=np.int32)

    def last(change: F8) -> list[F8]:
        return [v[w] for v in jumps.jump_measures(jumps.jump_terms(change, change, age), age, w, w, ALL_JUMPS)]

    quiet = last(x)
    z = quiet[jumps.JUMP_Z]
    assert abs(z.mean()) < 0.1
    assert 0.9 < z.std() < 1.15
    assert (z > 1.6449).mean() == pytest.approx(0.05, abs=0.02)
    for k in (jumps.REALIZED, jumps.BIPOWER_ROOT, jumps.MEDIAN_ROOT):
        assert float(np.mean(quiet[k] ** 2)) == pytest.approx(1.0, abs=0.01)
    # of normal changes TQ estimates n^2 sigma^4
    assert float(np.mean(np.exp(quiet[jumps.QUARTICITY]))) == pytest.approx(w * w, rel=0.02)
    x[120] += 10.0
    loud = last(x)
    growth = [float(np.mean(loud[k] ** 2) / np.mean(quiet[k] ** 2)) for k in range(3)]
    assert growth[jumps.REALIZED] == pytest.approx(1 + 100 / 240, abs=0.01)
    assert growth[jumps.BIPOWER_ROOT] < 1.12  # 2 x 10 x 0.8 x pi / 2 / 240
    assert growth[jumps.MEDIAN_ROOT] < 1.02
    assert (loud[jumps.JUMP_Z] > 1.6449).mean() > 0.97
    assert float(np.mean(loud[jumps.JUMP_SHARE])) == pytest.approx((100 - 25) / 340, abs=0.02)


def test_spaced_values_by_brute_force() -> None:
    rng = np.random.default_rng(3)
    x = 5 + rng.standard_normal((1500, 2))
    x[rng.random(x.shape) < 0.01] = np.nan
    age = (np.arange(1500) % 700).astype(np.int32)
    spread, bent = spaced_deviation(x, age, 15, 17, 0.5), bend(x, age, 30)
    compared = 0
    for r in range(0, 1500, 3):
        for j in range(2):
            points = x[[r - 15 * k for k in range(17)], j] if age[r] >= 240 else np.array([np.nan])
            want = float(np.std(points, ddof=1)) / 2 if len(points) > 1 else math.nan
            assert spread[r, j] == pytest.approx(want, rel=1e-13, nan_ok=True)
            compared += not math.isnan(want)
            last = x[r, j] - 2 * x[r - 30, j] + x[r - 60, j] if age[r] >= 60 else math.nan
            assert bent[r, j] == pytest.approx(last, abs=1e-14, nan_ok=True)
    assert compared > 250


def bits(a: F8, b: F8) -> None:
    np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
    known = ~np.isnan(a)
    np.testing.assert_array_equal(a[known].view(np.int64), b[known].view(np.int64))


@pytest.mark.parametrize("w", [20, 240])
def test_a_ring_of_the_last_bars_gives_the_same_bits(hard: tuple[Bars, I4, I4], w: int) -> None:
    """Live: rings no longer than they need; the restart phase lies inside."""
    bars, fill, age = hard
    change, p = steps(bars[3], age), 3
    assert (age == RESTART).any()
    whole, whole_ranges = jump_values(bars[3], age, w), range_values(bars, fill, age, w)
    prices, changes = np.full((4, 4, p), np.nan), np.full((4, p), np.nan)
    fills = np.zeros((4, p), dtype=np.int32)
    terms, range_terms = np.full((w + 1, jumps.JUMP_TERMS, p), np.nan), np.full((w + 1, ranges.RANGE_TERMS, p), np.nan)
    state, range_state = np.zeros((jumps.JUMP_ROWS, jumps.JUMP_TERMS, p)), np.zeros((TOTAL_ROWS, ranges.RANGE_TERMS, p))
    log, quarter, scratch = np.full((4 * w + 1, p), np.nan), w // 4, np.empty((2, p))
    wobble, bent = spaced_deviation(whole[jumps.LOG], age, quarter, 17, 0.5), bend(whole[jumps.LOG], age, w // 2)
    out, range_out = (tuple(np.empty((1, p)) for _ in range(k)) for k in (jumps.JUMP_MEASURES, ranges.RANGE_MEASURES))
    one = np.empty((1, p))
    for r in range(len(age)):
        at, ring = r % 4, r % (w + 1)
        for k in range(4):
            prices[k, at] = bars[k][r]
        changes[at], fills[at] = change[r], fill[r]
        jumps.jump_terms_row(changes, prices[3], r, age[r], terms, ring)
        jumps.jump_step(terms, r, age[r], w, needed(w), state, out, 0)
        ranges.range_terms_row((prices[0], prices[1], prices[2], prices[3]), fills, r, age[r], range_terms, ring)
        ranges.range_step(range_terms, r, age[r], w, needed(w), range_state, range_out, 0)
        for live, batch in zip((*out, *range_out), (*whole, *whole_ranges), strict=True):
            bits(live[0], batch[r])
        log[r % (4 * w + 1)] = out[jumps.LOG][0]
        spaced_deviation_row(log, r, age[r], quarter, 17, 0.5, scratch, one, 0)
        bits(one[0], wobble[r])
        bend_row(log, r, age[r], w // 2, one, 0)
        bits(one[0], bent[r])


def test_one_lane_is_the_lane_of_28(hard: tuple[Bars, I4, I4]) -> None:
    bars, fill, age = hard
    wide = tuple(np.ascontiguousarray(np.tile(v, (1, 10))[:, :28]) for v in bars)
    fills = np.ascontiguousarray(np.tile(fill, (1, 10))[:, :28])
    together = (*jump_values(wide[3], age, 60), *range_values(wide, fills, age, 60))  # type: ignore[arg-type]
    for lane in (0, 1, 26):
        alone = tuple(np.ascontiguousarray(v[:, lane : lane + 1]) for v in wide)
        fill_alone = np.ascontiguousarray(fills[:, lane : lane + 1])
        found = (*jump_values(alone[3], age, 60), *range_values(alone, fill_alone, age, 60))  # type: ignore[arg-type]
        for a, b in zip(found, together, strict=True):
            bits(a[:, 0], b[:, lane])


def test_what_is_not_wanted_is_not_there_and_moves_no_bit(hard: tuple[Bars, I4, I4]) -> None:
    bars, fill, age = hard
    cases: tuple[tuple[Callable[[frozenset[int]], tuple[F8, ...]], int], ...] = (
        (lambda wanted: jump_values(bars[3], age, 60, wanted), jumps.JUMP_MEASURES),
        (lambda wanted: range_values(bars, fill, age, 60, wanted), ranges.RANGE_MEASURES),
    )
    for make, count in cases:
        whole = make(frozenset(range(count)))
        for k in range(count):
            found = make(frozenset({k}))
            assert [len(v) > 0 for v in found] == [i == k for i in range(count)]
            bits(found[k], whole[k])

"""Kernels of regime_trend: a ring gives the batch's bits, one lane those of many, hard inputs keep their digits."""

from __future__ import annotations

from itertools import pairwise

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray

from bqx.features.checks.result import same_bits
from bqx.features.kernels import fluctuation, kendall, reversion, robust_ratio

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
N, LENGTH = 2600, 1300


@pytest.fixture(scope="module")
def change() -> F8:
    rng = np.random.default_rng(7)
    out = np.round(rng.standard_t(3, (N, 3)), 1) * 0.3
    out[300:420, 1] = np.nan
    out[700:800, 2] = 0.0
    out[900, 0] = 4e3
    return out


@pytest.fixture(scope="module")
def age() -> I4:
    return (np.arange(N) % LENGTH).astype(np.int32)


def levels(change: F8, age: I4) -> tuple[F8, I4, F8]:
    """Levels counted from each segment's zero, without gaps at closures, segment numbers and ends."""
    segment = (np.arange(N) // LENGTH).astype(np.int32)
    y = np.concatenate([np.cumsum(np.nan_to_num(change[segment == s]), axis=0) for s in (0, 1)])
    y[np.isnan(change)] = np.nan
    return y, segment, np.array([y[LENGTH - 1], y[-1]])


def spliced(y: F8, segment: I4, ends: F8, s: int) -> F8:
    """The first segment's rows counted from the second's zero, from its first bar on."""
    return y - ends[0] * (segment[:, None] == 0) if s else y


@pytest.mark.parametrize(("w", "inside"), [(60, True), (240, True), (700, False)])
def test_rings(change: F8, age: I4, w: int, inside: bool) -> None:
    """Live: row k at k % cap of a buffer that is overwritten; entering a segment, what it holds is counted anew."""
    y, segment, ends = levels(change, age)
    need, p, cap = -(-w * 9 // 10), 3, w + 3
    q = w // 10
    sizes = fluctuation.box_sizes(w)
    tables = (np.array(sizes, dtype=np.int64), np.array([fluctuation.slope_weights(sizes)]))
    counts = np.zeros((3, p), dtype=np.int64)
    life_state = (np.zeros((reversion.STATE_ROWS, p)), np.zeros(p), np.full(p, np.nan))
    ratio_state = (np.zeros((robust_ratio.STATE_ROWS, p)), np.zeros(p), np.full(p, np.nan))
    live = {k: np.full((N, p), np.nan) for k in ("tau", "dfa", "life", "ratio")}
    ring, changes = np.full((cap, p), np.nan), np.full((cap, p), np.nan)
    for r in range(N):
        start = age[r] == 0
        ring[r % cap], changes[r % cap] = y[r], change[r]
        if start:
            for k in range(max(0, r - cap + 1), r):
                ring[k % cap] = spliced(y, segment, ends, int(segment[r]))[k]
            life_state[1][:], life_state[2][:] = 0.0, np.nan
            if inside:
                ratio_state[1][:], ratio_state[2][:] = 0.0, np.nan
            else:
                for k in range(max(0, r - w), r):
                    reversion.equal_run_step(ring, k % cap, life_state[1], life_state[2])
        floor = r - int(age[r]) if inside else 0
        low = floor if inside else max(0, r - int(age[r]) - w)
        again = robust_ratio.restarts(int(age[r]), w)
        whole, paired = not inside or age[r] >= w - 1, not inside or age[r] >= w
        kendall.tau_step(ring, r, w, floor, start, need if whole else w + 1, counts, live["tau"], r)
        fluctuation.fluctuation_step(ring, r, floor, w, need if whole else w + 1, *tables, live["dfa"], r)
        both = (float(need), float(need)) if paired else (np.inf, np.inf)
        reversion.half_life_step(ring, r, low, again, w, both, *life_state, live["life"], r)
        least = float(need) if whole else np.inf
        robust_ratio.robust_ratio_step(changes, r, floor, again, w, q, least, *ratio_state, live["ratio"], r)
    batch = {
        "tau": kendall.kendall_taus(y, age, segment, ends, [w], [need], [inside])[0],
        "dfa": fluctuation.fluctuation_exponents(y, age, segment, ends, [w], [need], [inside])[0],
        "life": reversion.half_life(y, age, segment, ends, w, (float(need), float(need)), inside),
        "ratio": robust_ratio.robust_ratio(change, age, w, q, float(need), inside),
    }
    for kind, whole_series in batch.items():
        assert (~np.isnan(whole_series)).sum() > 3000
        different = np.argwhere(~same_bits(live[kind], whole_series))
        assert len(different) == 0, (kind, len(different), different[0])


def test_one_lane_gives_the_bits_of_many(change: F8, age: I4) -> None:
    y, segment, ends = levels(change, age)
    for lane in range(3):
        one = slice(lane, lane + 1)
        for kernel in (kendall.kendall_taus, fluctuation.fluctuation_exponents):
            many = kernel(y, age, segment, ends, [60, 700], [54, 630], [True, False])
            alone = kernel(y[:, one].copy(), age, segment, ends[:, one].copy(), [60, 700], [54, 630], [True, False])
            assert same_bits(alone, many[:, :, one]).all()
        for w, inside in ((60, True), (700, False)):
            need = 0.9 * w
            many = robust_ratio.robust_ratio(change, age, w, w // 10, need, inside)
            assert same_bits(robust_ratio.robust_ratio(change[:, one].copy(), age, w, w // 10, need, inside),
                             many[:, one]).all()  # fmt: skip
            many = reversion.half_life(y, age, segment, ends, w, (need, need), inside)
            alone = reversion.half_life(y[:, one].copy(), age, segment, ends[:, one].copy(), w, (need, need), inside)
            assert same_bits(alone, many[:, one]).all()


def test_boxes_with_holes_keep_the_bits_of_complete_ones(change: F8, age: I4) -> None:
    """Two ways to compute, one result: a lane with a hole somewhere equals the whole one elsewhere."""
    y, segment, ends = levels(np.nan_to_num(change), age)
    torn = y.copy()
    torn[1500:1503] = np.nan
    whole, found = (fluctuation.fluctuation_exponents(v, age, segment, ends, [60], [54], [True])[0] for v in (y, torn))
    far = (np.arange(N) < 1500) | (np.arange(N) >= 1503 + 60)
    assert same_bits(whole[far], found[far]).all()
    assert not same_bits(whole[1510:1540], found[1510:1540]).all()


def hard_inputs() -> dict[str, F8]:
    noise = np.random.default_rng(5).standard_normal(N)
    spike = 1e-2 * noise
    spike[1350] = 30.0
    return {
        "returns": noise,
        "a spike of 3,000 deviations after the restart": spike,
        "quiet after loud": np.r_[10.0 * noise[:1500], 1e-2 * noise[1500:]],
        "drift": noise + 0.3,
        "far level": np.r_[1e5, noise[1:]],
    }


def _ratio(x: F8, q: int) -> mpmath.mpf:
    v = [mpmath.mpf(float(a)) for a in x]
    n, m = len(v), sum(v, mpmath.mpf(0)) / len(v)
    away = [a - m for a in v]
    square = [a * a for a in away]
    spans = [sum(away[k : k + q]) for k in range(n - q + 1)]
    above = sum(a * a for a in spans) / (q * (n - q + 1) * (1 - mpmath.mpf(q) / n))
    theta = sum((mpmath.mpf(2 * (q - j)) / q) ** 2 * n * sum(square[k] * square[k - j] for k in range(j, n))
                for j in range(1, q)) / sum(square) ** 2  # fmt: skip
    return mpmath.sqrt(n) * (above / (sum(square) / (n - 1)) - 1) / mpmath.sqrt(theta)


def _life(y: F8) -> mpmath.mpf:
    v = [mpmath.mpf(float(a)) for a in y]
    w = len(v) - 1
    m = sum(v[1:]) / w
    phi = sum((a - m) * (b - a) for a, b in pairwise(v)) / sum((a - m) ** 2 for a in v[:-1])
    return min(-mpmath.log(2) / mpmath.log(1 + phi), w) / w if -1 < phi < 0 else mpmath.mpf(1)


def _exponent(y: F8) -> mpmath.mpf:
    v, w = [mpmath.mpf(float(a)) for a in y], len(y)
    sizes = fluctuation.box_sizes(w)
    logs = []
    for n in sizes:
        total = mpmath.mpf(0)
        x = [mpmath.mpf(2 * i - n + 1) / 2 for i in range(n)]
        for end in range(w, n - 1, -n):
            box = v[end - n : end]
            m = sum(box) / n
            slope = sum(a * (b - m) for a, b in zip(x, box, strict=True)) / sum(a * a for a in x)
            total += sum((b - m - slope * a) ** 2 for a, b in zip(x, box, strict=True))
        logs.append(mpmath.log(total / (n * (w // n))) / 2)
    away = [mpmath.log(n) for n in sizes]
    m = sum(away) / len(away)
    return sum((a - m) * b for a, b in zip(away, logs, strict=True)) / sum((a - m) ** 2 for a in away)


@pytest.mark.parametrize("name", hard_inputs())
def test_against_50_digits(name: str, age: I4) -> None:
    x = hard_inputs()[name][:, None]
    y, segment, ends = levels(x, age)
    rules = (age, segment, ends)
    ratio = robust_ratio.robust_ratio(x, age, 60, 6, 54.0, True)
    life = reversion.half_life(y, *rules, 60, (54.0, 54.0), True)
    dfa = fluctuation.fluctuation_exponents(y, *rules, [60], [54], [True])[0]
    with mpmath.workdps(50):
        for r in (61, 500, 1290, 1371, 1409, 1411, 1470, 1565, 2599):
            assert float(abs(ratio[r, 0] - _ratio(x[r - 59 : r + 1, 0], 6))) < 1e-9, r
            assert float(abs(dfa[r, 0] - _exponent(y[r - 59 : r + 1, 0]))) < 1e-9, r
            want = _life(y[r - 60 : r + 1, 0])
            assert float(abs(life[r, 0] - want) / want) < 1e-9, r

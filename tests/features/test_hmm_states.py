"""hmm_regime, states: planted regimes, a random walk, kept fits, identities and mistakes; promises in test_promises."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from bqx.features.anchors import Anchors
from bqx.features.checks import CHECKS, World
from bqx.features.declare import Dataset
from bqx.features.families import hmm_regime_states as states
from bqx.features.families import hmm_regime_states_fit as fits
from bqx.features.families.hmm_regime_states_reference import observed_reference
from bqx.features.families.hmm_regime_states_support import Held, Sampled
from bqx.features.fits import fitted
from bqx.features.kernels.hidden_markov import arrange, filtered
from bqx.features.refresh import latest_points
from bqx.features.streams import PRICE, Streams
from bqx.market.pairs import PAIRS

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
WEEK = 7200


def compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
    out: dict[str, F8] = {}
    for domain in fits.DOMAINS:
        mine = [n for n in names if n.endswith(f"_{domain}")]
        out |= states.compute(streams, domain, mine) if mine else {}
    return out


HOME = Dataset(
    family="hmm_regime",
    domain="dual",
    columns=tuple(c for pair in zip(*map(states.columns, fits.DOMAINS), strict=True) for c in pair),
    compute=compute,
    reference=states.reference,
    fits=tuple(fits.FITS.values()),
)
RATE = fits.FITS["1m", "rate"]
P_1M = tuple(f"hmm_p_{regime}_1m_rate" for regime in fits.REGIMES)


class SimpleStreams:
    """Streams of given changes: enough to be observed."""

    def __init__(self, changes: F8) -> None:
        age = (np.arange(len(changes)) % WEEK).astype(np.int32)
        self.panel = SimpleNamespace(grid=SimpleNamespace(seg_age=age))
        self._stream = SimpleNamespace(change=changes)

    def stream(self, domain: str) -> SimpleNamespace:
        return self._stream


def changes(rows: int, lanes: int, seed: int) -> F8:
    """Changes whose size and direction come and go, with runs of NULL."""
    rng = np.random.default_rng(seed)
    size = np.exp(0.7 * np.sin(np.arange(rows) / 200.0))[:, None]
    x = size * (rng.standard_t(4, (rows, lanes)) + 0.5 * np.sin(np.arange(rows) / 90.0)[:, None])
    for _ in range(rows // 400):
        at, lane = rng.integers(rows), rng.integers(lanes)
        x[at : at + rng.integers(1, 20), lane] = np.nan
    return x


def test_observations_against_sums() -> None:
    dy = changes(2 * WEEK, 2, seed=3)
    dy[500:560, 0] = 0.0
    stub = SimpleStreams(dy)
    age = stub.panel.grid.seg_age
    x, y = fits.observed(stub, "rate")  # type: ignore[arg-type]
    compared = 0
    for r in [*range(0, 2 * WEEK, 41), *range(500, 580), 13, 14, WEEK, WEEK + 13, WEEK + 14]:
        for j in range(2):
            want = observed_reference(dy[max(0, r - 14) : r + 1, j].tolist(), int(age[r]))
            assert (want is None) == bool(np.isnan(x[r, j]))
            if want is not None:
                np.testing.assert_allclose((x[r, j], y[r, j]), want, rtol=1e-9, atol=1e-12)
                compared += 1
    assert compared > 500
    assert np.isnan(x[514:560, 0]).all(), "ln 0"


def test_mirror() -> None:
    """T6: falling is rising. All else is made of what is observed, and that keeps every bit."""
    up, down = (SimpleStreams(sign * changes(2 * WEEK, 2, seed=4)) for sign in (1.0, -1.0))
    for a, b in zip(*(fits.observed(s, "rate") for s in (up, down)), strict=True):  # type: ignore[arg-type]
        assert (~np.isnan(a)).sum() > 20_000
        np.testing.assert_array_equal(a.view(np.int64), b.view(np.int64))


@pytest.fixture(scope="module")
def bars(world_for: Callable[[Dataset], World]) -> World:
    return world_for(HOME)


@pytest.fixture(scope="module")
def streams(bars: World) -> Streams:
    return bars.streams(HOME, *bars.span)[0]


@pytest.fixture(scope="module")
def values(bars: World) -> Mapping[str, F8]:
    return bars.values(HOME, *bars.span)


def test_kept_and_made_again(streams: Streams) -> None:
    """From the shelf, and from no more bars than the fit says it sees."""
    panel, calendar = streams.panel, streams.calendar
    points = np.unique(latest_points(panel.grid, "week", calendar))
    row = int(points[points >= fits.FIT_BARS][0])
    for fit in fits.FITS.values():
        first = fitted(fit, streams, row)
        assert not np.isnan(first).any()
        again = fitted(replace(fit, make=_never), streams, row)
        np.testing.assert_array_equal(first.view(np.int64), again.view(np.int64))
        begin = panel.grid.index(fit.earliest(int(panel.grid.minute[row]), calendar))
        fresh = Streams(panel.slice(begin, row + 1), calendar, Anchors())
        made = fitted(fit, fresh, row - begin)
        np.testing.assert_array_equal(first.view(np.int64), made.view(np.int64))


def _never(streams: Streams, row: int, lanes: I8) -> F8:
    raise AssertionError("made again")


def test_parameters_mean_what_they_say(bars: World, streams: Streams) -> None:
    """Where the declaration promises a fit, and NaN elsewhere: the second pair has a long hole."""
    view = bars.view(*bars.span)
    points = np.unique(latest_points(streams.panel.grid, "week", streams.calendar))
    made = 0
    for fit in fits.FITS.values():
        valid = fit.sees.valid(view)
        for row in points[points >= fits.FIT_BARS].tolist():
            found = fitted(fit, streams, row)
            np.testing.assert_array_equal(~np.isnan(found).any(axis=1), valid[row])
            for v in found[valid[row]]:
                one = dict(zip(fit.parameters, v.tolist(), strict=True))
                assert one["mean_rv_shock"] >= max(one["mean_rv_calm"], one["mean_rv_trend"])
                assert one["mean_eff_trend"] >= one["mean_eff_calm"]
                for regime in fits.REGIMES:
                    moves = [one[f"move_{regime}_{other}"] for other in fits.REGIMES]
                    assert math.fsum(moves) == pytest.approx(1.0, abs=1e-14)
                    assert one[f"move_{regime}_{regime}"] == max(moves), "regimes last"
                made += 1
    assert made == 4 * 5


def test_labels() -> None:
    model = np.array([3.0, 1.0, 2.0, 0.1, 0.9, 0.2, 11, 12, 13, 21, 22, 23, *range(31, 40), 7.0])
    assert fits.labelled(model).tolist() == [
        *(2.0, 1.0, 3.0), *(0.2, 0.9, 0.1), *(13, 12, 11), *(23, 22, 21),
        *(39, 38, 37), *(36, 35, 34), *(33, 32, 31), 7.0,
    ]  # fmt: skip


def splitmix(z: int) -> int:
    """Steele, Lea and Flood 2014, in Python's integers."""
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def test_seeds() -> None:
    """By pair, domain, scale and week, and by nothing else."""
    places = np.arange(5, 28_000, dtype=np.int64)
    seen = set()
    for key in itertools.product(("eurusd", "usdjpy"), fits.DOMAINS, fits.SCALES, (2800, 2801)):
        pair, domain, scale, week = key
        drawn = fits.picks(pair, domain, scale, week, places)
        stream = ((domain == "bqx") * 2 + (scale.name == "5m")) * 28 + PAIRS.index(pair)
        seed = splitmix(splitmix(week + 0x9E3779B97F4A7C15) ^ ((stream + 1) * 0xD1B54A32D192ED03 % 2**64))
        words = [splitmix((seed + (k + 1) * 0x9E3779B97F4A7C15) % 2**64) for k in range(15)]
        np.testing.assert_array_equal(drawn.ravel(), [5 + w % len(places) for w in words])
        seen.add(tuple(drawn.ravel().tolist()))
    assert len(seen) == 16


@pytest.mark.parametrize("domain", fits.DOMAINS)
@pytest.mark.parametrize("scale", fits.SCALES, ids=lambda s: s.name)
def test_columns_agree_with_each_other(values: Mapping[str, F8], domain: str, scale: fits.Scale) -> None:
    """T13 and what follows from the definitions."""
    one = {kind: values[f"hmm_{kind}_{scale.name}_{domain}"] for kind in states.LISTED}
    p = np.stack([one[f"p_{regime}"] for regime in fits.REGIMES])
    known = ~np.isnan(p[0])
    assert known.sum() > 20_000
    np.testing.assert_allclose(p.sum(axis=0)[known], 1.0, atol=1e-14)
    assert p[:, known].min() >= 0 and p[:, known].max() <= 1
    np.testing.assert_array_equal(p.argmax(axis=0)[known], one["state"][known])
    entropy = -(p * np.log(np.maximum(p, 1e-300))).sum(axis=0) / math.log(3)
    np.testing.assert_allclose(one["entropy"][known], entropy[known], atol=1e-12)
    assert (one["p_switch"][known] * np.exp(one["exp_dur"][known]) >= 1 - 1e-12).all(), "Jensen"
    length = np.exp(one["dur"]) - 1
    assert np.nanmax(np.abs(length - np.round(length))) < 1e-8
    assert np.nanmin(np.round(length)) >= 1 and np.nanmax(np.round(length)) <= scale.cap
    largest = p.max(axis=0)
    for r in np.flatnonzero(~np.isnan(one["persist"][:, 0]))[::601]:
        recent = largest[r - 59 : r + 1, 0]
        assert one["persist"][r, 0] == pytest.approx(np.nanmean(recent), rel=1e-12)


def test_five_minutes_are_held(values: Mapping[str, F8], bars: World) -> None:
    grid = bars.calendar.grid(*bars.span)
    for kind in states.KINDS:
        x = values[f"hmm_{kind}_5m_rate"]
        moved = ~((x[1:] == x[:-1]) | (np.isnan(x[1:]) & np.isnan(x[:-1]))).all(axis=1)
        at = np.flatnonzero(moved) + 1
        opens = grid.seg_age[at] == 0
        assert (grid.minute[at[~opens]] % 5 == 4).all()
        assert np.isnan(x[grid.seg_age < 14]).all()
    changed = np.diff(values["hmm_nll_5m_rate"][:, 0])[grid.minute[1:] % 5 == 4]
    assert (changed[~np.isnan(changed)] != 0).mean() > 0.99


def test_held_and_sampled_say_why(bars: World) -> None:
    view = bars.view(*bars.span)
    node, thin = Held(PRICE, 5), Sampled(PRICE, 5)
    for support in (node, thin):
        valid = support.valid(view)
        for row in range(0, len(valid), 397):
            assert (support.why(view, row, 0) is None) == bool(valid[row, 0])
    assert node.why(view, 2, 0) == "closure: the segment has closed no bar of 5 minutes yet"
    assert not node.valid(view)[:4].any()
    assert thin.warmup == node.warmup == PRICE.warmup


def as_is(streams: Streams) -> tuple[F8, F8, F8, NDArray[np.int32]]:
    """Observations, models and which rules where, as the family has them."""
    values, which = fits.in_force(streams, RATE)
    return *fits.observed(streams, "rate"), fits.models(values), which


def run(streams: Streams, x: F8, y: F8, models: F8, which: NDArray[np.int32], age: NDArray[np.int32]) -> F8:
    every = np.ones(len(x), dtype=bool)
    return np.stack(filtered(x, y, models, which, age, every, fits.BURN, 60, 1440)[:3])


def smoothed(streams: Streams, name: str, honest: F8) -> F8:
    """Probabilities that know the next bar: the filter's, a bar early."""
    return np.vstack([honest[1:], honest[-1:]])


def estimated_with_the_week(streams: Streams, name: str, honest: F8) -> F8:
    """Models of the 20 days that end with the week they rule."""
    values, which = fits.in_force(streams, RATE)
    x, y = fits.observed(streams, "rate")
    shifted = which.copy()
    for k in range(len(values)):
        row = min(int(np.flatnonzero(which == k)[-1]) + 1, len(x) - 1)
        values[k] = RATE.make(streams, row, np.arange(x.shape[1], dtype=np.int64))
    return run(streams, x, y, fits.models(values), shifted, streams.panel.grid.seg_age)[2]


def one_trajectory(streams: Streams, name: str, honest: F8) -> F8:
    """The chain goes on from the first loaded bar, through all weeks."""
    x, y, models, which = as_is(streams)
    return run(streams, x, y, models, which, np.maximum(np.arange(len(x)), 1).astype(np.int32))[2]


def unseen_is_seen(streams: Streams, name: str, honest: F8) -> F8:
    """A bar without a value repeats the value before."""
    x, y, models, which = as_is(streams)
    rows = np.maximum.accumulate(np.where(np.isnan(x), 0, np.arange(len(x))[:, None]), axis=0)
    u, v = (np.take_along_axis(z, rows, axis=0) for z in (x, y))
    return run(streams, u, v, models, which, streams.panel.grid.seg_age)[2]


def zero_for_null(streams: Streams, name: str, honest: F8) -> F8:
    return np.nan_to_num(honest)


def standard_deviation_for_variance(streams: Streams, name: str, honest: F8) -> F8:
    """Variances where the filter wants them, twice."""
    values, which = fits.in_force(streams, RATE)
    parts = [np.ascontiguousarray(values[:, :, 3 * k : 3 * k + 3]) for k in range(4)]
    move = values[:, :, 12:21].reshape(*values.shape[:2], 3, 3)
    wrong = arrange(parts[0], parts[1], parts[2] ** 2, parts[3] ** 2, move)
    return run(streams, *fits.observed(streams, "rate"), wrong, which, streams.panel.grid.seg_age)[2]


BUGS: list[tuple[Callable[[Streams, str, F8], F8], set[str]]] = [
    (smoothed, {"causal", "reference"}),
    (estimated_with_the_week, {"causal", "reference"}),
    (one_trajectory, {"partition"}),
    (unseen_is_seen, {"nulls"}),
    (zero_for_null, {"nulls"}),
    (standard_deviation_for_variance, {"reference"}),
]


@pytest.mark.parametrize(("plant", "caught"), BUGS, ids=lambda v: getattr(v, "__name__", None))
def test_planted_bug_is_caught(plant: Callable[[Streams, str, F8], F8], caught: set[str], bars: World) -> None:
    name = "hmm_p_shock_1m_rate"
    home = replace(HOME, columns=(HOME.by_name[name],), fits=(RATE,))

    def broken(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        return {n: plant(streams, n, v) for n, v in HOME.compute(streams, names).items()}

    tried = {check: CHECKS[check](replace(home, compute=broken), bars) for check in caught}
    assert {check for check, results in tried.items() if not all(r.passed for r in results)} == caught

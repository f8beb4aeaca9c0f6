"""cross_sectional: against scipy and numpy, with pairs missing, live, with mistakes planted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import median_abs_deviation, rankdata, spearmanr

from bqx.features.catalogue import datasets
from bqx.features.checks import CHECKS, World
from bqx.features.checks.result import same_bits
from bqx.features.explain import explain
from bqx.features.families import cross_sectional_pc1 as pc1
from bqx.features.families.cross_sectional_series import Panel
from bqx.features.fits import fitted
from bqx.features.kernels.linear import SWEEPS, jacobi
from bqx.features.kernels.market_model import slope_row, slopes_across
from bqx.features.kernels.pair_sums import pair_sums
from bqx.features.kernels.panel_correlation import held_for, panel_correlation, panel_correlation_step
from bqx.features.kernels.panel_ranks import breadth, panel_measures, rank_agreement
from bqx.features.kernels.products import PRODUCT_ROWS
from bqx.features.kernels.tridiagonal import largest_eigenvalue
from bqx.features.refresh import latest_points
from bqx.features.streams import Streams
from bqx.market.calendar import minute_of
from bqx.market.pairs import PAIRS

F8 = NDArray[np.float64]
HOME = datasets()["cross_sectional_dual"]
START, END = minute_of(datetime(2024, 3, 13, 2, tzinfo=UTC)), minute_of(datetime(2024, 3, 14, 2, tzinfo=UTC))
EURUSD = PAIRS.index("eurusd")


@pytest.fixture(scope="module")
def values(panel_world: World) -> dict[str, F8]:
    return panel_world.values(HOME, START, END)


@pytest.fixture(scope="module")
def streams(panel_world: World) -> tuple[Streams, int]:
    return panel_world.streams(HOME, START, END)


def some_rows(n: int, count: int = 60) -> list[int]:
    return sorted(np.random.default_rng(1).choice(n, count, replace=False).tolist())


# --- against other code -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "where"),
    [
        ("ret15", "returns_raw_rate.ret_15"),
        ("ret60", "returns_raw_rate.ret_60"),
        ("m15", "base_bqx.m15"),
        ("m60", "base_bqx.m60"),
    ],
)
def test_ranks_of_another_datasets_values(
    variable: str, where: str, panel_world: World, values: dict[str, F8], streams: tuple[Streams, int]
) -> None:
    name, _, column = where.partition(".")
    home = datasets()[name]
    column = next(c.name for c in home.columns if c.name.lower().replace("_", "") == column.replace("_", ""))
    x = panel_world.values(home, START, END, [column])[column].copy()
    x[streams[0].panel.fill_run[streams[1] :] > 2] = np.nan
    asked = 0
    for row in some_rows(len(x)):
        valid = ~np.isnan(x[row])
        v = x[row, valid]
        if len(v) < 20:
            assert np.isnan(values[f"xs_rank_{variable}"][row]).all()
            continue
        spread = median_abs_deviation(v, scale=1 / 1.4826)
        want = {
            "rank": (rankdata(v) - 0.5) / len(v),
            "gap": v - np.median(v),
            "disp": np.full(len(v), spread),
            "z": (v - np.median(v)) / spread,
        }
        for kind, theirs in want.items():
            np.testing.assert_allclose(values[f"xs_{kind}_{variable}"][row, valid], theirs, rtol=1e-9, atol=1e-9)
        if variable in ("ret60", "m60"):
            assert values[f"xs_top3_{variable}"][row].tolist().count(1.0) == 3
            assert set(np.argsort(v)[:3]) == set(np.flatnonzero(values[f"xs_bot3_{variable}"][row, valid] == 1.0))
            if row >= 15:
                both = valid & ~np.isnan(x[row - 15])
                stab = spearmanr(x[row, both], x[row - 15, both]).statistic
                got = values["xs_rank_stab_rate" if variable == "ret60" else "xs_rank_stab_bqx"][row, 0]
                assert got == pytest.approx(stab if both.sum() >= 20 else np.nan, abs=1e-12, nan_ok=True)
        asked += 1
    assert asked > 40


@pytest.mark.parametrize("domain", ["rate", "bqx"])
def test_components(domain: str, values: dict[str, F8], streams: tuple[Streams, int]) -> None:
    """Loadings, share and mean correlation from numpy's corrcoef and eigh, where no pair lacks a minute."""
    s, skip = streams
    grid = s.panel.grid
    dy = np.where(s.panel.fill_run > 2, np.nan, s.stream("rate" if domain == "rate" else "bqx").change)
    asked = 0
    for row in some_rows(len(grid) - skip, 300):
        at = skip + row
        window = dy[at - 239 : at + 1]
        if grid.seg_age[at] % 15 == 0 and not np.isnan(window).any():
            matrix = np.corrcoef(window.T)
            share = np.linalg.eigvalsh(matrix)[-1] / 28
            assert values[f"xs_pc1_share_{domain}"][row, 3] == pytest.approx(share, abs=1e-12)
            mean = np.abs(matrix[np.triu_indices(28, 1)]).mean()
            assert values[f"xs_avg_corr_{domain}"][row, 3] == pytest.approx(mean, abs=1e-12)
            asked += 1
    assert asked >= 5
    share, age = values[f"xs_pc1_share_{domain}"][:, 0], grid.seg_age[skip:]
    changed = np.flatnonzero(np.abs(np.diff(share)) > 0) + 1
    assert set(age[changed] % 15) == {0}


def test_loadings(values: dict[str, F8], streams: tuple[Streams, int]) -> None:
    s, skip = streams
    day = np.unique(latest_points(s.panel.grid, "day", s.calendar))
    for domain in pc1.DOMAINS:
        for at in day[day >= 2880].tolist():
            rows = pc1.changes(s, domain, Panel(s).lanes)[at - 1440 : at]
            rows = rows[~np.isnan(rows).any(axis=1)]
            vector = np.linalg.eigh(np.corrcoef(rows.T))[1][:, -1]
            vector = vector * np.sign(vector[EURUSD])
            found = fitted(pc1.PC1[domain], s, at)[:, 0]
            if not np.isnan(found).any():
                assert (found**2).sum() == pytest.approx(1.0, abs=1e-12)
                np.testing.assert_allclose(found, vector, atol=0.02)  # a few minutes differ
                assert found[EURUSD] > 0
    shown = values["xs_pc1_load_rate"]
    turns = np.flatnonzero((np.diff(shown, axis=0) != 0).any(axis=1)) + 1
    assert set(s.panel.grid.minute[skip:][turns] % 1440) == {21 * 60}, "at 17:00 New York"


def test_first_component_is_numpys() -> None:
    """A whole day: to the last digits."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((1440, 7)) @ rng.standard_normal((7, 28)) + 0.1 * rng.standard_normal((1440, 28))
    vector = np.linalg.eigh(np.corrcoef(x.T))[1][:, -1]
    np.testing.assert_allclose(pc1.first_component(x, 5), vector * np.sign(vector[5]), atol=1e-11)


@pytest.mark.parametrize("kind", ["normal", "rank 7", "equal", "one", "negative"])
def test_largest_eigenvalue(kind: str) -> None:
    rng = np.random.default_rng(3)
    for n in (1, 2, 3, 20, 28):
        a = rng.standard_normal((n, n))
        a = {
            "normal": a + a.T,
            "rank 7": a[:, :7] @ a[:, :7].T,
            "equal": np.eye(n),
            "one": np.ones((n, n)),
            "negative": -(a @ a.T),
        }[kind]
        want = np.linalg.eigvalsh(a)[-1]
        assert largest_eigenvalue(a.copy(), n, np.empty((3, n))) == pytest.approx(want, abs=1e-12 * np.abs(a).sum())
        b, vectors = a.copy(), np.empty((n, n))
        jacobi(b, vectors, SWEEPS)
        assert b[0, 0] == pytest.approx(want, abs=1e-12 * np.abs(a).sum())


# --- properties -------------------------------------------------------------------------------------------------------


def test_one_factor() -> None:
    """Equal correlations c of 28 lanes: the share is c + (1 - c) / 28. Independent lanes: hardly more than 1 / 28."""
    rng = np.random.default_rng(4)
    age = np.arange(6000, dtype=np.int32)
    x = rng.standard_normal((6000, 28))
    for c in (0.0, 0.5):
        y = np.sqrt(c) * rng.standard_normal((6000, 1)) + np.sqrt(1 - c) * x
        mean, share = panel_correlation(y, age, 240, 216, 20, 15)
        want = c + (1 - c) / 28
        assert np.nanmean(share) == pytest.approx(want, abs=0.03)
        assert np.nanmean(mean) == pytest.approx(c or np.sqrt(2 / np.pi / 240), abs=0.01)


def test_order_and_ties() -> None:
    x = np.tile(np.arange(28.0), (3, 1))
    x[1, 3:7] = 5.0
    x[2, 19:] = np.nan
    rank, score, gap, spread, top, bottom = panel_measures(x, x.astype(np.float32), 20)
    assert rank[0].tolist() == [(k + 0.5) / 28 for k in range(28)]
    assert (rank[1, 3:7] == (3 + 2.0) / 28).all()
    assert gap[0, 0] == -13.5 and spread[0, 0] == 1.4826 * 7.0
    assert score[0, 27] == 13.5 / (1.4826 * 7.0)
    assert top[0].tolist() == [0.0] * 25 + [1.0] * 3 and bottom[0].tolist() == [1.0] * 3 + [0.0] * 25
    assert all(np.isnan(v[2]).all() for v in (rank, score, gap, spread, top, bottom)), "19 are too few"


def test_breadth_does_not_depend_on_quoting() -> None:
    """A pair quoted the other way round has the other sign and the other loading."""
    rng = np.random.default_rng(5)
    x, load = rng.standard_normal((500, 28)), rng.standard_normal((500, 28))
    turn = np.where(np.arange(28) % 3, 1.0, -1.0)
    assert same_bits(breadth(x, load, 20), breadth(x * turn, load * turn, 20)).all()
    assert breadth(np.ones((1, 28)), np.ones((1, 28)), 20)[0, 0] == 1.0


def test_live() -> None:
    """Row by row over rings: the same bits."""
    rng = np.random.default_rng(6)
    x = rng.standard_normal((1700, 1)) + rng.standard_normal((1700, 28))
    x[rng.random(x.shape) < 0.002] = np.nan
    age = np.r_[np.arange(1100), np.arange(600)].astype(np.int32)
    mean, share = panel_correlation(x, age, 240, 216, 20, 15)
    f = np.where(np.isnan(x), np.nan, np.nanmean(x, axis=1)[:, None])
    slopes = slopes_across(x, f, age, 300, 270)
    sums, held, last = pair_sums(28), held_for(28), np.nan
    ring, ring_f, now = np.full((301, 28), np.nan), np.full((301, 28), np.nan), np.empty((1, 28))
    state, runs = np.zeros((PRODUCT_ROWS, 28)), (np.zeros(28), np.full(28, np.nan))
    compared = 0
    for r in range(len(x)):
        ring[r % 301], ring_f[r % 301] = x[r], f[r]
        one, last = panel_correlation_step(ring, r, age[r], 240, 216, 20, 15, sums, held, last)
        slope_row(ring, ring_f, r, age[r], 300, 270, state, runs, now, 0)
        assert same_bits(np.array([one, last]), np.array([mean[r], share[r]])).all()
        assert same_bits(now[0], slopes[r]).all()
        compared += one == one
    assert compared > 1000
    np.testing.assert_allclose(slopes[1500, 3], np.polyfit(*_both(f, x, 1500, 3), 1)[0], rtol=1e-10)


def _both(f: F8, x: F8, r: int, j: int) -> tuple[F8, F8]:
    a, b = f[r - 299 : r + 1, j], x[r - 299 : r + 1, j]
    return a[~np.isnan(a)], b[~np.isnan(a)]


# --- NULL and why -----------------------------------------------------------------------------------------------------


def test_eighteen_pairs_are_too_few(panel_world: World, values: dict[str, F8]) -> None:
    """At 08:30 on 13 March ten pairs are silent: nothing is compared; a window of 240 minutes still has them."""
    at = minute_of(datetime(2024, 3, 13, 8, 30, tzinfo=UTC))
    row, view = at - START, panel_world.view(START, at + 1)
    for name in ("xs_rank_ret15", "xs_disp_m60", "xs_breadth_ret60", "xs_top3_m60", "xs_rank_stab_rate"):
        assert np.isnan(values[name][row]).all(), name
        why = HOME.by_name[name].why_null(view, view.panel.shape[0] - 1, EURUSD)
        assert str(why).startswith("panel: 18 pairs have a value, 20 are needed"), (name, why)
    assert not np.isnan(values["xs_avg_corr_rate"][row]).any()
    assert not np.isnan(values["xs_pc1_load_rate"][row]).all()


def test_one_pair_alone(panel_world: World) -> None:
    alone = panel_world.only(["eurusd"])
    assert all(np.isnan(v).all() for v in alone.values(HOME, START, END).values())
    streams, _ = alone.streams(HOME, START, END)
    for item in HOME.columns:
        told = explain(HOME, item, streams, END - 1, "eurusd")
        assert "panel: " in (told.reason or "") and "the project has 1" in str(told.reason), (item.name, told.reason)


# --- planted mistakes -------------------------------------------------------------------------------------------------


def _forgotten_panel_rule(x: F8, ranked: NDArray[np.float32], least: int) -> tuple[F8, ...]:
    return panel_measures(x, ranked, 1)


def _each_bar(x: F8, age: NDArray[np.int32], *rest: int) -> tuple[F8, F8]:
    """Refreshed at each bar in place of each 15th."""
    return panel_correlation(x, age, *rest[:-1], 1)


def _todays_loadings(streams: Streams, row: int, domain: str) -> F8:
    return LOADINGS(streams, min(row + 1440, len(streams.panel.grid)), domain)


def _unsorted(x: NDArray[np.float32], age: NDArray[np.int32], lag: int, least: int) -> F8:
    """Pearson's correlation of values in place of ranks."""
    return rank_agreement(np.sin(x * 1e3).astype(np.float32), age, lag, least)


LOADINGS = pc1._loadings
SERIES = "bqx.features.families.cross_sectional_series"
PLANTED: dict[str, tuple[str, Callable[..., object], str, str]] = {
    "nineteen pairs will do": (f"{SERIES}.panel_measures", _forgotten_panel_rule, "xs_disp_ret15", "nulls"),
    "refreshed at each bar": (f"{SERIES}.panel_correlation", _each_bar, "xs_pc1_share_rate", "reference"),
    "loadings of today": (f"{pc1.__name__}._loadings", _todays_loadings, "xs_pc1_load_rate", "reference"),
    "values in place of ranks": (f"{SERIES}.rank_agreement", _unsorted, "xs_rank_stab_rate", "reference"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted(name: str, panel_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    target, mistake, column, check = PLANTED[name]
    few = replace(HOME, columns=(HOME.by_name[column],))
    world = panel_world.recent(9)
    assert all(r.passed for r in CHECKS[check](few, world))
    monkeypatch.setattr(target, mistake)
    assert not all(r.passed for r in CHECKS[check](few, replace(world)))

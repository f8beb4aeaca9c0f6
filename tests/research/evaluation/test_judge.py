"""Skill, its interval, its parts and its words on rows whose truth is known."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from arch.bootstrap import StationaryBootstrap
from invented import judged, rows

from bqx.base.errors import EvaluationError
from bqx.features.families.time import _session_code
from bqx.market.calendar import Calendar, month_span
from bqx.research.evaluation.judge import judge
from bqx.research.evaluation.noise import BLOCK, flipped
from bqx.research.evaluation.rows import Rows
from bqx.research.evaluation.strata import sessions, terciles
from bqx.research.evaluation.target import KINDS
from bqx.research.skill import NO_SKILL


def squares(r: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    y, f = r.truth["y4"], r.forecasts["y4"]["model"]
    return y**2, (y - f) ** 2, (y - r.forecasts["y4"]["persistence"]) ** 2


def test_a_cell_is_one_minus_the_ratio_of_squared_errors() -> None:
    r = rows(r2=0.02)
    found = judged([r]).cells[0]
    walk, model, other = (s.sum() for s in squares(r))
    assert found.found.walk.skill == pytest.approx(1 - model / walk, rel=1e-12)
    assert found.found.against["persistence"].skill == pytest.approx(1 - model / other, rel=1e-12)
    y, f = r.truth["y4"], r.forecasts["y4"]["model"]
    assert found.found.hit_rate == ((y > 0) == (f > 0)).mean()
    assert found.cost == 0.5 and found.size == pytest.approx(np.abs(r.move).mean())
    assert found.break_even == pytest.approx(0.5 + 0.5 / (2 * np.abs(r.move).mean()))


def test_pooled_cells_count_in_units_of_their_random_walk() -> None:
    small, large = rows(r2=0.02), rows(r2=0.03, pair="usdjpy")
    scaled = replace(
        large,
        truth={k: 50 * v for k, v in large.truth.items()},
        forecasts={"y4": {k: 50 * v for k, v in large.forecasts["y4"].items()}},
    )
    found = judged([small, scaled], kinds=("pair",))
    cells = [1 - m.sum() / w.sum() for w, m, _ in (squares(small), squares(large))]
    assert found.pooled.walk.skill == pytest.approx(np.mean(cells), rel=1e-9)
    assert found.pooled.n_rows == 4000
    by_pair = {f.part: f.walk.skill for f in found.parts["pair"]}
    assert by_pair == {"pair eurusd": pytest.approx(cells[0]), "pair usdjpy": pytest.approx(cells[1])}


@pytest.mark.parametrize("kind", ["session", "tercile", "fold"])
def test_parts_add_up_to_the_whole(kind: str) -> None:
    found = judged([rows(4000, r2=0.02)], draws=200, kinds=(kind,))
    assert sum(f.n_rows for f in found.parts[kind]) == found.pooled.n_rows == 4000
    assert not found.left_out


def test_interval_equals_that_of_arch() -> None:
    """Same blocks, their resamples: 95 % percentile interval of the skill, within the error of 4,000 draws."""
    r = rows(3000, r2=0.02, overlap=4, horizon=60)
    walk, model, _ = squares(r)
    mine = judged([r], draws=4000).cells[0].found
    theirs: Any = StationaryBootstrap(mine.block / 15, np.column_stack([walk, model]), seed=1)
    drawn = theirs.apply(lambda t: np.array([1 - t[:, 1].sum() / t[:, 0].sum()]), 4000)[:, 0]
    low, high = np.quantile(drawn, [0.025, 0.975])
    width = high - low
    assert mine.walk.low == pytest.approx(low, abs=0.05 * width)
    assert mine.walk.high == pytest.approx(high, abs=0.05 * width)


def test_ten_copies_of_a_pair_are_worth_one() -> None:
    names = ("eurusd", "usdjpy", "gbpusd", "audusd", "usdcad")
    one = judged([rows(r2=0.02)]).pooled.walk
    five = judged([replace(rows(r2=0.02), pair=p) for p in names]).pooled.walk
    assert (five.low, five.high) == pytest.approx((one.low, one.high), rel=1e-9)


def test_flips_are_exact() -> None:
    """The closed form against losses of truths that were really flipped."""
    r = rows(800, r2=0.02)
    y, f = r.truth["y4"], r.forecasts["y4"]["model"]
    mine = flipped(y**2, (y - f) ** 2, f**2, r.position, seed=3, flips=50)
    block = np.unique(r.position // BLOCK, return_inverse=True)[1]
    signs = np.where(np.random.default_rng(3).random((50, block.max() + 1)) < 0.5, -1.0, 1.0)
    scores = [1 - ((s[block] * y - f) ** 2).sum() / (y**2).sum() for s in signs]
    assert mine.mean == pytest.approx(np.mean(scores), rel=1e-9)
    assert mine.high == pytest.approx(np.quantile(scores, 0.95), rel=1e-9)
    truth = 1 - ((y - f) ** 2).sum() / (y**2).sum()
    assert mine.p == (1 + sum(s >= truth for s in scores)) / 51


def test_words() -> None:
    good = judged([rows(6000, r2=0.02)])
    assert good.pooled.verdict == "skill against the random walk" and not good.quarantined
    nothing = judged([rows(6000)], kinds=KINDS)
    assert nothing.pooled.verdict == NO_SKILL
    assert all(f.verdict == NO_SKILL for part in nothing.parts.values() for f in part), "parts are gated by the whole"
    leak = judged([rows(6000, r2=0.2)])
    assert leak.quarantined and "leak" in leak.pooled.verdict and leak.too_good


def test_noise_is_not_taken_for_a_leak() -> None:
    """500 rows of overlapping labels reach 58 % hits by luck; that alone quarantines nobody."""
    found = [judged([rows(500, seed=k, overlap=12, horizon=180)], draws=200) for k in range(40)]
    assert max(f.pooled.hit_rate for f in found) > 0.58
    assert not any(f.quarantined for f in found)


def test_too_few_rows_are_said_not_judged() -> None:
    with pytest.raises(EvaluationError, match="500"):
        judged([rows(300)])
    found = judged([rows(900), rows(300, pair="usdjpy")])
    assert [c.pair for c in found.cells] == ["eurusd"]
    assert any("usdjpy" in text for text in found.left_out)
    alone = judged([rows(900)])
    assert found.cells[0].q_bh >= alone.cells[0].q_bh, "what could not be judged stays in the family"


def test_rows_in_one_stretch_have_no_interval() -> None:
    table = np.zeros((3000, 6))
    table[700:705] = 100.0
    with pytest.raises(EvaluationError, match="too few stretches"):
        judge(table, np.arange(3000), (), part="odd", target="y4", horizon=15, longest=15, worth=1.0, draws=200)


def test_discovery_rates_are_over_all_cells() -> None:
    cells = judged(
        [rows(3000, pair=p, r2=0.03 if p == "eurusd" else 0.0) for p in ("eurusd", "usdjpy", "gbpusd")]
    ).cells
    p = sorted(c.found.walk.p for c in cells)
    assert min(c.q_bh for c in cells) == pytest.approx(min(1.0, p[0] * 3, p[1] * 1.5, p[2]))
    assert all(c.q_by >= c.q_bh >= c.found.walk.p for c in cells)


def test_confidence_set_keeps_the_better_model() -> None:
    found = judged([rows(6000, r2=0.03)]).confidence
    assert found is not None and found.kept == ("model",)
    assert found.losses[0] == pytest.approx(1.0), "in units of the random walk"


def test_calibration_of_pairs_together_pays_for_their_dependence() -> None:
    one = judged([rows(3000, r2=0.03)]).calibration[15]
    two = judged([rows(3000, r2=0.03), replace(rows(3000, r2=0.03), pair="usdjpy")]).calibration[15]
    assert one is not None and two is not None
    assert (two.b, two.b_error) == pytest.approx((one.b, one.b_error), rel=1e-9) and two.n == 2 * one.n
    assert abs(one.b - 1.0) < 3 * one.b_error
    f = rows(3000, r2=0.03).forecasts["y4"]["model"]
    assert np.mean([t[0] for t in judged([rows(3000, r2=0.03)]).curve]) == pytest.approx(f.mean(), abs=1e-12)


def test_sessions_are_those_of_the_features() -> None:
    """A whole month over the change of New York's clocks, against the column trading_session."""
    calendar = Calendar.load()
    grid = calendar.grid(*month_span("2024_03"))
    np.testing.assert_array_equal(sessions(calendar, grid.minute), _session_code(grid))


def test_thirds_know_nothing_of_what_comes_later() -> None:
    rng = np.random.default_rng(2)
    fold = np.repeat(np.arange(4), 500)
    sigma = np.exp(rng.normal(size=2000))
    before, clean = terciles(sigma, fold)
    assert not clean, "the first fold has nothing before it"
    later = sigma.copy()
    later[1500:] *= 100.0
    after, _ = terciles(later, fold)
    np.testing.assert_array_equal(before[:1500], after[:1500])
    assert (after[1500:] == 2).all()
    assert np.bincount(before[:500]).tolist() == [167, 166, 167]


def test_effective_rows() -> None:
    found = judged([rows(2000, horizon=60), rows(2000, pair="usdjpy", horizon=60)])
    assert found.cells[0].found.n_effective == pytest.approx(2000 * 15 / 60)
    assert found.pooled.n_effective == pytest.approx(2 * 2000 * 15 / 60), "two pairs, three currencies: two legs"
    assert math.isclose(found.pooled.block / 15, max(found.pooled.block / 15, 8.0)), "at least two horizons"

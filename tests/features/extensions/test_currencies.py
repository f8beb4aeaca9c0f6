"""currency_index, market_regime and arbitrage on markets that are made by hand (T12)."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from bqx.features.families.extensions.currency_index_support import NAMES, strength_members, triangles
from bqx.features.kernels.loops import BEST, DIRECTION, MIDDLE, carried, loops, share_below, strengths
from bqx.features.kernels.members import parity
from bqx.market.pairs import CURRENCIES, PAIRS, parse_pair

PLACE = {name: k for k, name in enumerate(PAIRS)}


def market(rows: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """Values of the 8 currencies and the mids of all pairs without arbitrage."""
    rng = np.random.default_rng(6)
    value = np.exp(np.cumsum(1e-3 * rng.standard_normal((rows, 8)), axis=0) + rng.standard_normal(8))
    place = {c: k for k, c in enumerate(CURRENCIES)}
    known = [parse_pair(p) for p in PAIRS]
    return value, np.column_stack([value[:, place[k.base]] / value[:, place[k.quote]] for k in known])


def test_strengths_sum_to_zero_and_give_the_pairs_back() -> None:
    value, mid = market()
    log = np.log(mid / mid[0])
    found = strengths(log, *strength_members(PAIRS))
    assert np.abs(found.sum(axis=1)).max() < 1e-13
    # ln S of c is 8/7 of its value less the mean of all values
    log_value = np.log(value / value[0])
    order = [CURRENCIES.index(c) for c in NAMES]
    away = (log_value - log_value.mean(axis=1, keepdims=True))[:, order] * 8 / 7
    assert np.abs(found - away).max() < 1e-13
    for name, k in PLACE.items():
        own = parse_pair(name)
        gap = found[:, NAMES.index(own.base)] - found[:, NAMES.index(own.quote)]
        assert np.abs(log[:, k] - 7 / 8 * gap).max() < 1e-13


def test_residuals_of_consistent_triangles_are_nothing() -> None:
    _, mid = market()
    assert np.abs(parity(mid, *triangles(PAIRS))).max() < 1e-9


def test_ranks_halve_ties() -> None:
    assert share_below(np.array([[3.0, 1.0, 1.0, 2.0]])).tolist() == [[3.5 / 4, 1 / 4, 1 / 4, 2.5 / 4]]
    assert np.isnan(share_below(np.array([[3.0, np.nan, 1.0]]))).all()


def test_a_loop_that_pays_is_found() -> None:
    """EURUSD bid 20 bps above what GBP gives: sell EUR for USD, buy GBP with them, buy EUR back."""
    _, mid = market(1)
    bid, ask = mid * (1 - 1e-5), mid * (1 + 1e-5)
    lane = PLACE["eurusd"]
    dear = mid.copy()
    dear[0, lane] *= 1.002
    bid[0, lane], ask[0, lane] = dear[0, lane] * (1 - 1e-5), dear[0, lane] * (1 + 1e-5)
    run = np.zeros(mid.shape, dtype=np.int32)
    found = loops(bid, ask, dear, run, *triangles(PAIRS))
    spread = (1 - 1e-5) * (1 - 1e-5) / (1 + 1e-5)  # two bids and an ask, or a bid and two asks
    assert found[BEST][0, lane] == pytest.approx(1e4 * (1.002 * spread - 1), abs=2e-4)
    assert found[MIDDLE][0, lane] == pytest.approx(20.0, abs=1e-9)
    assert found[DIRECTION][0, lane] > 0
    # a pair without either currency of the dear one loses its three half spreads
    assert found[BEST][0, PLACE["audjpy"]] == pytest.approx(-0.3, abs=1e-3)
    # base-100 indices in a product, or a leg the wrong way round, would show as -99 % or -22.6 %
    assert found[BEST].min() > -1.0


def test_no_profit_at_mids_without_arbitrage_and_null_without_a_leg() -> None:
    _, mid = market(3)
    run = np.zeros(mid.shape, dtype=np.int32)
    found = loops(mid, mid, mid, run, *triangles(PAIRS))
    assert np.abs(found[BEST]).max() < 1e-10
    lacking = mid.copy()
    lacking[1, PLACE["usdjpy"]] = np.nan
    found = loops(lacking, lacking, lacking, run, *triangles(PAIRS))
    for name, lane in PLACE.items():
        touched = bool({"usd", "jpy"} & {name[:3], name[3:]})
        assert np.isnan(found[BEST][1, lane]) == touched


def test_quotes_are_carried_five_minutes_and_not_across_a_closure() -> None:
    x = np.arange(20.0)[:, None]
    run = np.array([0, 0, *range(1, 8), 0, *range(1, 11)], dtype=np.int32)[:, None]
    age = np.r_[np.arange(12), np.arange(8)].astype(np.int32)
    found = carried(np.where(run > 0, np.nan, x), run, age, 5)[:, 0]
    assert found[:12].tolist()[:7] == [0, 1, 1, 1, 1, 1, 1]
    assert np.isnan(found[7:9]).all()
    assert found[9:12].tolist() == [9, 9, 9]
    assert np.isnan(found[12:]).all(), "the segment has had no quote"


def test_every_pair_has_six_triangles() -> None:
    lanes, signs = triangles(PAIRS)
    assert lanes.shape == (28, 6, 2)
    assert (lanes >= 0).all()
    for pair, row in zip(PAIRS, lanes.tolist(), strict=True):
        thirds = {frozenset(PAIRS[k][i : i + 3] for k in legs for i in (0, 3)) - {pair[:3], pair[3:]} for legs in row}
        assert len(thirds) == 6
    assert set(np.unique(signs)) == {-1.0, 1.0}
    assert len(list(combinations(CURRENCIES, 2))) == len(PAIRS)
    assert math.isclose(float(np.abs(signs).sum()), 28 * 12)

"""What every build demands of its values: bounds and identities hold on a panel, and catch what breaks them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from bqx.base.errors import FeatureError
from bqx.build.sanity import check_values
from bqx.features.catalogue import own_datasets
from bqx.features.checks import World
from bqx.features.declare import Dataset
from bqx.features.identities import Identity, mean_rank, of_currencies, of_triangles, total
from bqx.market.pairs import CURRENCIES, PAIRS, parse_pair

Lanes = dict[str, NDArray[np.float32]]
HOMES = [home for home in own_datasets().values() if home.identities]


def currencies_world(rows: int = 40) -> NDArray[np.float64]:
    """Log prices of the 28 pairs from 8 currencies, with noise that breaks triangles, (pairs, rows)."""
    rng = np.random.default_rng(3)
    value = dict(zip(CURRENCIES, rng.normal(0, 50, (8, rows)), strict=True))
    return np.array([value[parse_pair(p).base] - value[parse_pair(p).quote] + rng.normal(0, 1, rows) for p in PAIRS])


def log_price(p: NDArray[np.float64], one: str, two: str) -> NDArray[np.float64]:
    """Of `one` in `two`, whichever way the market quotes it."""
    return p[PAIRS.index(one + two)] if one + two in PAIRS else -p[PAIRS.index(two + one)]


def parities() -> Lanes:
    """The two residuals of every pair, straight from the definition."""
    p = currencies_world()
    mean, first = [], []
    for pair in PAIRS:
        x, y = pair[:3], pair[3:]
        others = [c for c in CURRENCIES if c not in (x, y)]
        each = {c: log_price(p, x, y) - log_price(p, x, c) - log_price(p, c, y) for c in others}
        mean.append(np.mean(list(each.values()), axis=0))
        first.append(each["usd" if "usd" in each else "eur" if "eur" in each else "gbp"])
    return {"mean": np.array(mean, np.float32), "first": np.array(first, np.float32)}


@pytest.mark.parametrize(
    ("identity", "equations"),
    [(of_currencies("c", "mean"), 8 * 40), (of_triangles("t", "first"), 6 * 40)],
)
def test_parity_identities_hold_by_algebra_and_catch_one_wrong_value(identity: Identity, equations: int) -> None:
    values: Lanes = parities()
    assert identity.broken(values, PAIRS) == (equations, "")
    column = identity.columns[0]
    spoilt = {column: values[column].copy()}
    spoilt[column][PAIRS.index("eurgbp"), 17] += 0.01
    count, wrong = identity.broken(spoilt, PAIRS)
    assert count == equations
    assert "off by 0.01" in wrong


def test_a_panel_that_lacks_pairs_is_not_judged() -> None:
    values = {name: x[1:] for name, x in parities().items()}
    assert of_currencies("c", "mean").broken(values, PAIRS[1:]) == (0, "")
    assert of_triangles("t", "first").broken(values, PAIRS[1:])[0] == 6 * 40, "audcad is in no such triangle"


def test_total_and_mean_rank() -> None:
    p = np.array([[0.2, 0.5, np.nan], [0.3, 0.5, np.nan]], np.float32)
    assert total("t", ["a", "b"], 1.0).broken({"a": p, "b": 1 - p}, ["eurusd", "usdjpy"]) == (4, "")
    assert "off by 0.2 for usdjpy" in total("t", ["a", "b"], 0.8).broken({"a": p, "b": 1 - p}, ["usdjpy", "x"])[1]
    ranks = np.tile((np.arange(28, dtype=np.float32)[:, None] + 0.5) / 28, 3)
    ranks[:, 2] = np.nan
    assert mean_rank("r", "a").broken({"a": ranks}, PAIRS) == (2, "")
    ranks[0, 1] = 0.5
    assert "off by 0.48" in mean_rank("r", "a").broken({"a": ranks}, PAIRS)[1]


def lanes_of(home: Dataset, world: World) -> Lanes:
    """Columns of the dataset's identities over the last days, as the store would get them."""
    columns = dict.fromkeys(c for identity in home.identities for c in identity.columns)
    part = replace(home, columns=tuple(home.by_name[c] for c in columns))
    values: Mapping[str, NDArray[np.float64]] = world.values(part, world.span[1] - 2000, world.span[1])
    return {name: np.ascontiguousarray(x.T, dtype=np.float32) for name, x in values.items()}


@pytest.mark.parametrize("home", [h for h in HOMES if "panel" in h.uses], ids=lambda h: h.name)
def test_identities_of_the_catalogue_hold_on_a_panel(home: Dataset, panel_world: World) -> None:
    values = lanes_of(home, panel_world)
    for identity in home.identities:
        count, wrong = identity.broken(values, panel_world.pairs)
        assert not wrong
        assert count >= 500, identity.name


def test_a_value_out_of_bounds_and_a_broken_identity_stop_the_unit() -> None:
    home = own_datasets()["hmm_regime_dual"]
    names = [f"hmm_p_{regime}_1m_rate" for regime in ("calm", "trend", "shock")]
    good = {name: np.full((2, 600), share, np.float32) for name, share in zip(names, (0.5, 0.25, 0.25), strict=True)}
    assert check_values(home, good, ("eurusd", "usdjpy")) == 3 * 1200 + 1200
    bad = {**good, names[1]: np.full((2, 600), 0.24, np.float32)}
    with pytest.raises(FeatureError, match=r"off by -0.01 for eurusd, 600 such values.*regimes of 1m rate"):
        check_values(home, bad, ("eurusd", "usdjpy"))
    low = good[names[0]].copy()
    low[0, 7] = -0.25
    with pytest.raises(FeatureError, match=r"values from -0.25 to 0.5, declared are 0 to 1.*eurusd"):
        check_values(home, {**good, names[0]: low}, ("eurusd", "usdjpy"))
    high = good[names[0]].copy()
    high[1, 5] = 1.5
    with pytest.raises(FeatureError, match=r"values from 0.5 to 1.5, declared are 0 to 1.*usdjpy"):
        check_values(home, {**good, names[0]: high}, ("eurusd", "usdjpy"))

"""realized_volatility_dual: what it declares, what it computes, and mistakes of its own kind that must be caught."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bqx.base.errors import FeatureError
from bqx.features.catalogue import datasets
from bqx.features.checks import CHECKS, World
from bqx.features.checks.result import same_bits
from bqx.features.declare import Dataset
from bqx.features.families import realized_volatility as family
from bqx.features.families.realized_volatility import LENGTHS, METRICS, SAMPLES, parse, support_of
from bqx.features.kernels import jump_volatility as jumps
from bqx.features.kernels import range_volatility as ranges
from bqx.features.kernels.spaced import spaced_deviation
from bqx.features.streams import PRICE, Streams
from bqx.features.support import All, Fresh, Lag, Window, needed

F8 = NDArray[np.float64]
NAME = "realized_volatility_dual"
LISTED = """
parkinson garman_klass rogers_satchell yang_zhang realized bipower medrv quarticity jump_z jump_share signed_jump skew
vol_of_vol accel
"""


def test_columns() -> None:
    home = datasets()[NAME]
    names = [f"rv_{m}_{w}_{d}" for m in LISTED.split() for w in (20, 60, 120, 240) for d in ("rate", "bqx")]
    assert [c.name for c in home.columns] == names
    assert len(names) == 112
    assert home.stage == "1.6.19"
    assert (home.counted, home.inherited, home.laggable, home.uses) == (True, False, False, frozenset())
    assert {home.signal_domain(n) for n in names} == {"rate", "bqx"}
    assert parse("rv_garman_klass_120_bqx") == ("garman_klass", 120, "bqx")
    for wrong in ("rv_parkinson_20", "rv_median_20_rate", "parkinson_20_rate"):
        with pytest.raises(FeatureError, match="no column"):
            parse(wrong)


def test_look_back_is_composed() -> None:
    """w for the ranges, w + 1 for changes, four windows more for vol_of_vol; M adds its 15 closes."""
    by_name = datasets()[NAME].by_name
    warmup = {m: by_name[f"rv_{m}_60_rate"].warmup for m in METRICS}
    assert warmup == dict.fromkeys(METRICS, 61) | dict.fromkeys(METRICS[:3], 60) | {"vol_of_vol": 301, "accel": 121}
    for m in METRICS:
        assert by_name[f"rv_{m}_60_bqx"].warmup == warmup[m] + 15
    assert {c.policy for c in by_name.values()} == {"SEG"}


def test_only_what_is_asked_is_computed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    home = datasets()[NAME]
    streams = world.streams(home, *world.span)[0]
    calls: list[tuple[str, int, frozenset[int]]] = []

    def watch(module: ModuleType, name: str) -> None:
        real = getattr(module, name)

        def spy(*args: Any) -> Any:
            calls.append((name, args[2], args[4]))
            return real(*args)

        monkeypatch.setattr(module, name, spy)

    watch(ranges, "range_measures")
    watch(jumps, "jump_measures")
    found = home.compute(streams, ["rv_accel_60_rate", "rv_skew_20_rate"])
    assert list(found) == ["rv_accel_60_rate", "rv_skew_20_rate"]
    assert calls == [("jump_measures", 20, {jumps.SKEW}), ("jump_measures", 60, {jumps.LOG})]
    assert not {"bqx_close", "bqx_open", "bqx_high"} & set(vars(streams)), "the other domain"
    calls.clear()
    found = home.compute(streams, ["rv_yang_zhang_240_bqx"])
    assert calls == [("range_measures", 240, {ranges.YANG_ZHANG})]
    whole = home.compute(streams, [c.name for c in home.columns])
    assert same_bits(found["rv_yang_zhang_240_bqx"], whole["rv_yang_zhang_240_bqx"]).all()


def test_a_quoted_bar(world: World) -> None:
    view = world.view(*world.span)
    fresh = Fresh().valid(view)
    np.testing.assert_array_equal(fresh, view.panel.fill_run == 0)
    assert 0 < (PRICE.valid(view) & ~fresh).sum() < fresh.size / 10, "carried prices"
    row, pair = np.argwhere(PRICE.valid(view) & ~fresh)[0]
    assert Fresh().why(view, row, pair) == "gap: 1 minutes without a quote; a carried price has no range"
    assert all(Fresh().why(view, r, p) is None for r, p in np.argwhere(fresh)[:50])
    assert Fresh().warmup == 1
    assert Fresh().earliest(77, world.calendar) == 77


@pytest.mark.parametrize("w", LENGTHS)
def test_samples_never_cross_a_closure(w: int, world: World) -> None:
    """All 17 are needed and each exists from bar w - 1 of its segment on, more than one spacing after the closure: XGAP
    would say the same as SEG."""
    view = world.view(*world.span)
    moves = Window(Lag(PRICE, 1, "SEG"), w, "SEG")
    across = All(tuple(Lag(moves, k * w // 4, "XGAP") for k in range(SAMPLES)))
    inside = support_of("vol_of_vol", w, "rate").valid(view)
    np.testing.assert_array_equal(across.valid(view), inside)
    assert inside.sum() > 5000


def test_twins_are_what_they_say(world: World) -> None:
    """Within a minute M is 15 / c_15 of the log price, to first order in the change."""
    home = datasets()[NAME]
    twins = {c.name: c.alias_of for c in home.columns if c.alias_of}
    assert len(twins) == 12 + 3
    values = world.values(home, *world.span)
    factor = 15 / math.sqrt(15 * 16 * 31 / 6)
    for name, other in twins.items():
        a, b = values[name], values[str(other).partition(".")[2]]
        both = ~np.isnan(a) & ~np.isnan(b)
        expected = factor if name.endswith("_bqx") else 1.0
        ratio = a[both] / b[both]
        assert both.sum() > 50_000
        assert np.median(ratio) == pytest.approx(expected, rel=2e-3 if name.endswith("_bqx") else 0.05)


def test_volatilities_agree_with_each_other(world: World) -> None:
    """Seven estimators of one thing: medians within a fifth of rv_realized."""
    names = [f"rv_{m}_240_rate" for m in METRICS[:7]]
    found = world.values(datasets()[NAME], *world.span, names)
    middle = {n: float(np.nanmedian(v)) for n, v in found.items()}
    for name, value in middle.items():
        assert value == pytest.approx(middle["rv_realized_240_rate"], rel=0.2), name


def early(streams: Streams, name: str, honest: F8) -> F8:
    return np.vstack([honest[1:], honest[-1:]])


def carried_ranges(streams: Streams, name: str, honest: F8) -> F8:
    """Minutes that carry a price count, with a range of 0."""
    _, w, domain = parse(name)
    s, age = streams.stream(domain), streams.panel.grid.seg_age
    priced = np.where(np.isnan(s.close), 1, 0).astype(np.int32)
    terms = ranges.range_terms((s.open, s.high, s.low, s.close), priced, age)
    place = family.RANGES[parse(name)[0]]
    return ranges.range_measures(terms, age, w, needed(w), frozenset({place}))[place]


def over_the_hole(streams: Streams, name: str, honest: F8) -> F8:
    """The change over a hole counts as one minute's: a jump where there was silence."""
    _, w, domain = parse(name)
    s, age = streams.stream(domain), streams.panel.grid.seg_age
    terms = jumps.jump_terms(s.change, np.zeros_like(s.close), age)
    place = family.JUMPS[parse(name)[0]]
    return jumps.jump_measures(terms, age, w, needed(w), frozenset({place}))[place]


def products_over_missing(streams: Streams, name: str, honest: F8) -> F8:
    """Missing changes filled with 0 before products are taken."""
    _, w, domain = parse(name)
    s, age = streams.stream(domain), streams.panel.grid.seg_age
    terms = jumps.jump_terms(np.nan_to_num(s.change), np.zeros_like(s.close), age)
    place = family.JUMPS[parse(name)[0]]
    found = jumps.jump_measures(terms, age, w, needed(w), frozenset({place}))[place]
    return np.where(np.isnan(honest), honest, found)


def annualised(streams: Streams, name: str, honest: F8) -> F8:
    return honest * math.sqrt(252)


def not_rescaled(streams: Streams, name: str, honest: F8) -> F8:
    """The sum over the valid changes divided by w: lower where some are missing."""
    _, w, domain = parse(name)
    s = streams.stream(domain)
    known = ~np.isnan(s.change) & ~np.isnan(np.vstack([s.close[:1] * np.nan, s.close[:-1]]))
    count = np.array([known[max(0, r - w + 1) : r + 1].sum(axis=0) for r in range(len(known))])
    return honest * np.sqrt(count / w)


def across_weekends(streams: Streams, name: str, honest: F8) -> F8:
    """Samples of the volatility from before the closure, where the segment is too young."""
    _, w, domain = parse(name)
    s, age = streams.stream(domain), streams.panel.grid.seg_age
    log = jumps.jump_measures(jumps.jump_terms(s.change, s.close, age), age, w, needed(w), frozenset({jumps.LOG}))
    filled, rows = log[jumps.LOG], np.arange(len(age))[:, None]
    last = np.maximum.accumulate(np.where(np.isnan(filled), 0, rows), axis=0)
    filled = np.take_along_axis(filled, last, axis=0)
    return spaced_deviation(filled, np.arange(len(age), dtype=np.int32), w // 4, SAMPLES, 0.5)


def zero_when_still(streams: Streams, name: str, honest: F8) -> F8:
    return np.nan_to_num(honest)


BUGS: list[tuple[str, Callable[[Streams, str, F8], F8], set[str]]] = [
    ("rv_bipower_60_rate", early, {"causal", "partition", "nulls", "reference"}),
    ("rv_parkinson_20_rate", carried_ranges, {"nulls"}),
    ("rv_yang_zhang_120_bqx", carried_ranges, {"nulls"}),
    ("rv_realized_60_rate", over_the_hole, {"nulls"}),
    ("rv_bipower_240_rate", products_over_missing, {"reference"}),
    ("rv_medrv_240_rate", annualised, {"reference"}),
    ("rv_realized_240_rate", not_rescaled, {"reference"}),
    ("rv_vol_of_vol_120_rate", across_weekends, {"nulls"}),
    ("rv_signed_jump_60_bqx", zero_when_still, {"nulls"}),
]


@pytest.mark.parametrize(("column", "plant", "caught"), BUGS, ids=lambda v: getattr(v, "__name__", None))
def test_planted_bug_is_caught(
    column: str, plant: Callable[[Streams, str, F8], F8], caught: set[str], world: World
) -> None:
    whole = datasets()[NAME]
    home = replace(whole, columns=(whole.by_name[column],))

    def broken(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        return {n: plant(streams, n, v) for n, v in whole.compute(streams, names).items()}

    two = world.only(("eurusd", "usdjpy"))
    assert failures(home, two) == set()
    assert caught <= failures(replace(home, compute=broken), two)


def failures(home: Dataset, world: World) -> set[str]:
    chosen = ("causal", "partition", "nulls", "reference")
    return {name for name in chosen if not all(r.passed for r in CHECKS[name](home, world))}

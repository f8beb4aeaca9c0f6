"""P1-P4, T2-T14 and live parity for every extension: what `test_promises.py` and `live/` ask of the catalogue.

Over fewer bars than there, for time's sake, and a stream or scale whose formulas are those of another dataset is asked
the cheap half; `make soak CHECK=promises` asks all of all, over three months of several pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from bqx.features.catalogue import EXTENSIONS, earliest, extensions
from bqx.features.checks import CHECKS, World
from bqx.features.checks.reach import LEAST_DAYS, days_of, warmup
from bqx.features.declare import Dataset
from bqx.features.live.check import check_live
from bqx.features.live.dataset import twin
from bqx.market.calendar import minute_of

HOMES = list(extensions().values())
CHEAP = ("causal", "nulls", "bounds", "zeros")
FIRST = ("multiscale_30m_rate",)
"""Of several scales the one that is asked all."""


def asked(home: Dataset) -> tuple[str, ...]:
    """Checks of a dataset: all, but the cheap ones for the second stream of formulas that are written once."""
    root = home.name.rpartition("_")[0]
    twin = home.domain == "bqx" and f"{root}_rate" in extensions()
    scale = root.startswith("multiscale_") and home.name not in FIRST
    return CHEAP if twin or scale else tuple(CHECKS)


CASES = [pytest.param(home, check, id=f"{home.name}:{check}") for home in HOMES for check in asked(home)]

RECOMPUTED: frozenset[str] = frozenset()
"""Datasets that live recomputes, for a kernel of theirs has no stepper."""


DAYS, VALUES = 17, 5_000
"""Days of the shortest world, with a month's end, a holiday, a change of clocks and holes; bars with values."""


@pytest.fixture(scope="module")
def worlds(world: World, world_for: Callable[[Dataset], World]) -> Callable[[Dataset, int], World]:
    """As many of the last days of one pair, or two, as a dataset needs; all that the catalogue's tests have for
    panels."""
    made: dict[tuple[int, int, int], World] = {}
    calendar, end = world.calendar, world.span[1]
    start = calendar.segment_start(end - 1)

    def choose(home: Dataset, pairs: int) -> World:
        if "panel" in home.uses:
            return world_for(home)
        seen = calendar.ordinal(start) - calendar.ordinal(earliest(home, start, calendar))
        days = max(DAYS, days_of(max(seen, warmup(home)) + VALUES, calendar, end))
        whole = world if days <= LEAST_DAYS and "schedule" not in home.uses else world_for(home)
        key = (id(whole), days, pairs)
        if key not in made:
            made[key] = whole.only(whole.pairs[:pairs]).recent(days)
        return made[key]

    return choose


@pytest.mark.parametrize(("home", "check"), CASES)
def test_promise(home: Dataset, check: str, worlds: Callable[[Dataset, int], World]) -> None:
    results = CHECKS[check](home, worlds(home, 1))
    wanted = {c.name for c in home.columns}
    if check in ("redundancy", "baseline"):
        wanted = {c.name for c in home.columns if "level" not in c.tags}
    assert {r.column for r in results} == wanted, "a column was not looked at"
    failed = [f"{r.check} {r.dataset}.{r.column}: {r.reason}" for r in results if not r.passed]
    assert not failed, "\n".join(failed)


def _at(day: int) -> int:
    return minute_of(datetime(2024, 3, day, 10, tzinfo=UTC))


@pytest.mark.parametrize("home", HOMES, ids=lambda home: home.name)
def test_live_is_batch(home: Dataset, worlds: Callable[[Dataset, int], World]) -> None:
    """Over a week end in which New York's clocks change: blocks of one minute and of many, restored in between."""
    assert twin(home).stepped != (home.name in RECOMPUTED)
    results = check_live(home, worlds(home, 2), [(_at(8), _at(12))], singles=12, saves=4)
    failed = [f"{r.column}: {r.reason}" for r in results if not r.passed]
    assert not failed, failed[:5]
    assert len(results) == len(home.columns)


def test_what_an_extension_is() -> None:
    """Named by its module; never counted, laggable or of a stage."""
    assert len(set(EXTENSIONS)) == len(EXTENSIONS)
    for home in HOMES:
        assert home.extension
        assert not (home.counted or home.inherited or home.laggable)
        assert home.compute.__module__.startswith("bqx.features.families.extensions.")

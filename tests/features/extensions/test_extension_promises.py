"""P1-P4, T2-T14 and live parity for every extension: what `test_promises.py` and `live/` ask of the catalogue."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from bqx.features.catalogue import EXTENSIONS, extensions
from bqx.features.checks import CHECKS, World
from bqx.features.declare import Dataset
from bqx.features.live.check import check_live
from bqx.features.live.dataset import twin
from bqx.market.calendar import minute_of

HOMES = list(extensions().values())
CASES = [pytest.param(home, check, id=f"{home.name}:{check}") for home in HOMES for check in CHECKS]

RECOMPUTED: frozenset[str] = frozenset()
"""Datasets that live recomputes, for a kernel of theirs has no stepper."""


@pytest.fixture(scope="module")
def worlds(world_for: Callable[[Dataset], World]) -> Callable[[Dataset], World]:
    """A world of the catalogue's tests, two of its pairs where a pair sees itself alone."""
    made: dict[int, World] = {}

    def choose(home: Dataset) -> World:
        whole = world_for(home)
        if "panel" in home.uses:
            return whole
        return made.setdefault(id(whole), whole.only(whole.pairs[:2]))

    return choose


@pytest.mark.parametrize(("home", "check"), CASES)
def test_promise(home: Dataset, check: str, worlds: Callable[[Dataset], World]) -> None:
    results = CHECKS[check](home, worlds(home))
    wanted = {c.name for c in home.columns}
    if check in ("redundancy", "baseline"):
        wanted = {c.name for c in home.columns if "level" not in c.tags}
    assert {r.column for r in results} == wanted, "a column was not looked at"
    failed = [f"{r.check} {r.dataset}.{r.column}: {r.reason}" for r in results if not r.passed]
    assert not failed, "\n".join(failed)


def _at(day: int) -> int:
    return minute_of(datetime(2024, 3, day, 10, tzinfo=UTC))


@pytest.mark.parametrize("home", HOMES, ids=lambda home: home.name)
def test_live_is_batch(home: Dataset, worlds: Callable[[Dataset], World]) -> None:
    """Over a week end in which New York's clocks change: blocks of one minute and of many, restored in between."""
    assert twin(home).stepped != (home.name in RECOMPUTED)
    results = check_live(home, worlds(home), [(_at(8), _at(12))], singles=12, saves=4)
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

"""T10: columns that say the same are named, whatever their scale and sign; others are left alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from bqx.features.catalogue import datasets
from bqx.features.checks import World, check_redundancy
from bqx.features.checks.redundancy import LIMIT, correlations
from bqx.features.declare import Column, Dataset
from bqx.features.streams import Streams
from bqx.market.calendar import datetime_of

F8 = NDArray[np.float64]
HOME = datasets()["returns_raw_rate"]


def noise(like: F8, size: float) -> F8:
    return np.random.default_rng(3).standard_normal(like.shape) * size * np.nanstd(like, axis=0)


def with_second(make: Callable[[F8], F8], **tags: object) -> Dataset:
    """ret_1, ret_60 and a column made of ret_60."""
    one, two = HOME.by_name["ret_1"], HOME.by_name["ret_60"]
    made: Column = replace(two, name="second", **tags)  # type: ignore[arg-type]

    def compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        honest = HOME.compute(streams, ["ret_1", "ret_60"])
        return {**honest, "second": make(honest["ret_60"])}

    return replace(HOME, columns=(one, two, made), compute=compute)


def failing(home: Dataset, world: World) -> set[str]:
    return {r.column for r in check_redundancy(home, world) if not r.passed}


PLANTED: dict[str, Callable[[F8], F8]] = {
    "copy": lambda x: x,
    "other unit and sign": lambda x: -1e4 * x + 7.0,
    "a hundredth of noise": lambda x: x + noise(x, 0.01),
    "known less often": lambda x: np.where(np.arange(len(x))[:, None] % 3 == 0, np.nan, x),
}


@pytest.mark.parametrize("name", PLANTED)
def test_twins_are_named(name: str, world: World) -> None:
    found = {r.column: r for r in check_redundancy(with_second(PLANTED[name]), world)}
    assert found["ret_1"].passed
    assert not found["ret_60"].passed
    assert not found["second"].passed
    assert found["second"].where == "ret_60"
    assert "says the same as ret_60: correlation" in found["second"].reason
    assert LIMIT < found["second"].worst <= 1 + 1e-12
    assert found["ret_60"].compared > 50_000


HONEST: dict[str, Callable[[F8], F8]] = {
    "a fiftieth of noise": lambda x: x + noise(x, 0.02),  # 0.9998
    "its size": np.abs,
    "constant": lambda x: np.where(np.isnan(x), x, 7.0),
    "the same only in one pair": lambda x: np.column_stack([x[:, 0], noise(x, 1.0)[:, 1:]]),
}


@pytest.mark.parametrize("name", HONEST)
def test_others_pass(name: str, world: World) -> None:
    assert failing(with_second(HONEST[name]), world) == set()


def test_exceptions(world: World) -> None:
    assert failing(with_second(lambda x: x, alias_of="returns_raw_rate.ret_60"), world) == set()
    assert failing(with_second(lambda x: x, alias_of="elsewhere_rate.ret_60"), world) == {"ret_60", "second"}
    chain = with_second(lambda x: x, alias_of="returns_raw_rate.ret_60")
    third = replace(chain.by_name["second"], name="third", alias_of="returns_raw_rate.second")

    def three(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        found = chain.compute(streams, ["ret_1", "ret_60", "second"])
        return {**found, "third": found["second"]}

    assert failing(replace(chain, columns=(*chain.columns, third), compute=three), world) == set()
    level = with_second(lambda x: x, tags=frozenset({"level"}))
    assert {r.column for r in check_redundancy(level, world)} == {"ret_1", "ret_60"}
    assert failing(level, world) == set()
    auxiliary = replace(with_second(lambda x: x), counted=False)
    assert check_redundancy(auxiliary, world) == []
    assert failing(replace(auxiliary, origin="somebody"), world) == {"ret_60", "second"}, "users are told"


def test_too_few_values_fail(world: World) -> None:
    """Nothing is known to be redundant in 150 minutes, and nothing to be fine."""
    edge = datetime_of(world.span[1] - 150)
    short = replace(world, frames={p: f.filter(pl.col("ts_utc") >= edge) for p, f in world.frames.items()})
    for result in check_redundancy(with_second(lambda x: x), short):
        assert result.differing == 0
        assert not result.passed


def test_correlations() -> None:
    """numpy's, over the common rows of every two."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3000, 4)) * [1.0, 1e-6, 1e9, 1.0] + [0.0, 5.0, 1e10, 0.0]
    x[:, 3] += 3 * x[:, 0]
    x[rng.random(x.shape) < 0.2] = np.nan
    found, common = correlations(x)
    for i in range(4):
        for j in range(4):
            both = ~np.isnan(x[:, i]) & ~np.isnan(x[:, j])
            assert common[i, j] == both.sum()
            assert found[i, j] == pytest.approx(np.corrcoef(x[both, i], x[both, j])[0, 1], abs=1e-9)

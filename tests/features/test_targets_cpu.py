"""P2 across machines: another number of pairs, and threads, give the same bits. Plain CPUs: soak `cpu-target`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from bqx.features.catalogue import datasets
from bqx.features.checks import World
from bqx.features.checks.result import same_bits
from bqx.market.calendar import month_span, months_between


def months(world: World, names: list[str]) -> list[tuple[str, int, int]]:
    first, last = world.span
    spans = [(max(a, first), min(b, last)) for a, b in map(month_span, months_between(first, last))]
    return [(name, *span) for name in names for span in spans]


def test_two_threads(world: World) -> None:
    """Different datasets and months at once, twice: the bits of one thread alone."""
    jobs = months(world, list(datasets()))

    def build(job: tuple[str, int, int]) -> dict[str, NDArray[np.float64]]:
        return world.values(datasets()[job[0]], job[1], job[2])

    alone = [build(job) for job in jobs]
    for order in (jobs, jobs[::-1]):
        with ThreadPoolExecutor(2) as pool:
            found = dict(zip(order, pool.map(build, order), strict=True))
        for job, expected in zip(jobs, alone, strict=True):
            for column, value in expected.items():
                assert same_bits(value, found[job][column]).all(), (job, column)


@pytest.mark.parametrize("name", datasets())
def test_every_pair_alone(name: str, world: World) -> None:
    """Width 1 (and 2) against width 3, every pair, so that no lane is special."""
    home = datasets()[name]
    start, end = month_span("2024_03")[0], world.span[1]
    together = world.values(home, start, end)
    for chosen in (*((p,) for p in world.pairs), world.pairs[::-2]):
        lanes = [world.pairs.index(p) for p in chosen]
        narrow = World({p: world.frames[p] for p in chosen}, world.calendar, world.t0, tuple(chosen))
        assert narrow.span[1] == end
        for column, value in narrow.values(home, start, end).items():
            assert same_bits(value, np.ascontiguousarray(together[column][:, lanes])).all(), (chosen, column)

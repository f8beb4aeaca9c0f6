"""Nanoseconds a value: contenders take turns, so that a busy machine slows all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np

from benchmarks.kernels.bars import Bars, Lane
from benchmarks.kernels.case import PEERS, Case

BUDGET = 0.25
"""Seconds a contender may take a round; slow ones are given fewer pairs."""


@dataclass
class Contender:
    """work() does `values` values; cpu and wall collect nanoseconds a value, round by round."""

    name: str
    work: Callable[[], object]
    values: int
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def run(self) -> None:
        cpu, wall = time.process_time_ns(), time.perf_counter_ns()
        self.work()
        self.wall.append((time.perf_counter_ns() - wall) / self.values)
        self.cpu.append((time.process_time_ns() - cpu) / self.values)

    def summary(self) -> dict[str, float]:
        """Medians, and the middle half of the CPU times."""
        low, high = np.percentile(self.cpu, [25, 75])
        found = {"cpu_ns": median(self.cpu), "wall_ns": median(self.wall), "cpu_25": float(low), "cpu_75": float(high)}
        return {k: round(v, 3) for k, v in found.items()}


def measure(case: Case, wide: Bars, gappy: Bars, lanes: Sequence[Lane], rounds: int) -> dict[str, dict[str, float]]:
    """Contender -> times: `ours` on all pairs, `ours, gaps` with missing minutes, `ours, one pair`, peers, `copy`."""
    rows, pairs = wide.y.shape
    alone = [wide.lane(j) for j in range(len(lanes))]
    cells = rows * pairs
    everything = [
        Contender("ours", lambda: case.ours(wide), cells * case.values),
        Contender("ours, gaps", lambda: case.ours(gappy), cells * case.values),
        _by_lane("ours, one pair", case.ours, alone, rows * case.values),
        *(_by_lane(name, case.peers[name], lanes, rows * case.values) for name in PEERS if name in case.peers),
        Contender("copy", wide.y.copy, cells),
    ]
    for contender in everything:
        contender.work()  # compiled, caches warm
    for turn in range(rounds):
        for k in range(len(everything)):
            everything[(k + turn) % len(everything)].run()
    return {c.name: c.summary() for c in everything}


def _by_lane(name: str, work: Callable[[Any], object], lanes: Sequence[Any], values: int) -> Contender:
    """The same work pair after pair, as many pairs as the budget holds."""
    work(lanes[0])
    began = time.perf_counter()
    work(lanes[0])
    spent = time.perf_counter() - began
    chosen = lanes[: max(1, min(len(lanes), int(BUDGET / max(spent, 1e-6))))]

    def all_of_them() -> None:
        for lane in chosen:
            work(lane)

    return Contender(name, all_of_them, values * len(chosen))

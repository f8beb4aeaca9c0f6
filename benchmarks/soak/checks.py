"""The registry of soak checks: name -> what it shows and the callable that runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.soak.causality import clock, fdr
from benchmarks.soak.kill import kill
from benchmarks.soak.promises import promises
from benchmarks.soak.regimes import regimes
from benchmarks.soak.state import State
from benchmarks.soak.year import year


@dataclass(frozen=True)
class Check:
    """`run` gets the state of earlier, unfinished calls and returns the result; `ok` in it decides the exit code.

    size, unit : how much unless told, and of what. sibling : the file in tests/ that runs the same code small.
    """

    title: str
    run: Callable[[State], dict[str, Any]]
    size: int
    unit: str
    sibling: str


CHECKS: dict[str, Check] = {
    "causality-clock": Check(
        "Granger of 756 directed pairs over a month of 1-minute returns within 5 minutes, equal to statsmodels'",
        clock, 28, "pairs", "benchmarks/test_causality_soak.py",
    ),
    "causality-fdr": Check(
        "worlds without links: false discovery rate of each method and both at or under q; planted links are found",
        fdr, 200, "null worlds", "benchmarks/test_causality_soak.py",
    ),
    "kill": Check(
        "a build killed at 50 random points and run again gives the bytes of an undisturbed one",
        kill, 50, "kills", "benchmarks/test_kill_soak.py",
    ),
    "promises": Check(
        "P1-P4, NULL pattern, bounds and references of every dataset on 28 simulated pairs over three months",
        promises, 28, "pairs", "benchmarks/test_promises_soak.py",
    ),
    "regimes": Check(
        "planted regimes are found by the hidden Markov states, and random walks have none",
        regimes, 20, "trials of 28 lanes", "benchmarks/test_regimes_soak.py",
    ),
    "year": Check(
        "28 simulated pairs, every dataset: time, size, memory, full verification",
        year, 12, "months", "benchmarks/test_year_soak.py",
    ),
}  # fmt: skip

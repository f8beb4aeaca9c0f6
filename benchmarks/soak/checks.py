"""The registry of soak checks: name -> what it shows and the callable that runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.soak.kill import kill
from benchmarks.soak.state import State
from benchmarks.soak.year import year


@dataclass(frozen=True)
class Check:
    """`run` gets the state of earlier, unfinished calls and returns the result; `ok` in it decides the exit code."""

    title: str
    run: Callable[[State], dict[str, Any]]


CHECKS: dict[str, Check] = {
    "kill": Check("a build killed at 50 random points and run again gives the bytes of an undisturbed one", kill),
    "year": Check("28 simulated pairs, --size 12 months, every dataset: time, size, memory, full verification", year),
}

"""One line of the comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.kernels.bars import Bars, Lane
from benchmarks.kernels.exact import Exact

PEERS = ("TA-Lib", "polars", "pandas", "bottleneck", "numbagg", "numpy", "hmmlearn")


@dataclass(frozen=True)
class Case:
    """A quantity. values : results a bar and pair. ours : on all pairs at once. peers : name -> the same on one pair.

    exact(series, row) gives the values of a row to 50 digits, in the order of `outputs`; ours and peers return them in
    that order, as arrays, unless `read` turns ours into it (outside the timing). skip : inputs that say nothing here.
    """

    group: str
    name: str
    values: int
    ours: Callable[[Bars], Any]
    peers: Mapping[str, Callable[[Lane], Any]]
    exact: Callable[[Exact, int], tuple[Any, ...]] | None = None
    read: Callable[[Any], Any] | None = None
    outputs: tuple[str, ...] = ("value",)
    note: str = ""
    skip: tuple[str, ...] = ()

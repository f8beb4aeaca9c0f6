"""What building costs: measured by every run, kept in the manifest, and what forecasts are made from.

A unit's time is split by what it grows with: loading with panel cells, computing with the values computed (look-back
included), writing with the values written and with the files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one dataset. compute_ns : core-nanoseconds a value computed; write_ns : a value written; bytes : a value."""

    compute_ns: float
    write_ns: float
    bytes: float

    def seconds(self, computed: int, written: int) -> float:
        return (computed * self.compute_ns + written * self.write_ns) * 1e-9


@dataclass(frozen=True)
class Costs:
    """datasets : by name. load_ns : core-nanoseconds a panel cell (bar of a pair). resident_bytes : this program
    before it holds bars. memory_factor : bytes held in truth over those the task planner counts. threads : that worked
    side by side when it was measured. origin : of the figures, in words."""

    datasets: Mapping[str, Cost]
    load_ns: float
    resident_bytes: float
    memory_factor: float
    threads: int
    origin: str

    def of(self, dataset: str, itemsize: float) -> tuple[Cost, bool]:
        """Cost of a dataset and whether it was measured; else the median of those that were, and its own width."""
        if dataset in self.datasets:
            return self.datasets[dataset], True
        known = sorted(self.datasets.values(), key=lambda c: c.compute_ns)
        middle = known[len(known) // 2]
        return replace(middle, bytes=itemsize), False

    def updated(self, new: Costs) -> Costs:
        return replace(new, datasets={**self.datasets, **new.datasets})

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Costs:
        return cls(**{**data, "datasets": {name: Cost(**cost) for name, cost in data["datasets"].items()}})


@lru_cache(maxsize=1)
def shipped() -> Costs:
    """Used until this machine has built, and saying so; `python -m benchmarks.profile` measures better ones."""
    return Costs.from_dict(json.loads(files("bqx.build").joinpath("costs.json").read_text(encoding="utf-8"))["costs"])

"""Which stage of the plan builds which columns: proof that each counted one belongs to exactly one stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bqx.base.errors import CheckError
from bqx.features.declare import OURS, Dataset

INHERITED = "1.6.9a"
STAGES: Mapping[str, tuple[str, int]] = {
    INHERITED: ("Inherited", 184),
    "1.6.10": ("Technical, rate", 56),
    "1.6.11": ("Technical, bqx", 56),
    "1.6.12": ("Statistics, bqx", 56),
    "1.6.13": ("Bollinger, bqx", 56),
    "1.6.14": ("Fibonacci, bqx", 56),
    "1.6.15": ("Volume, bqx", 48),
    "1.6.16": ("Correlation, rate", 28),
    "1.6.17": ("Correlation, bqx", 28),
    "1.6.18": ("Error correction", 112),
    "1.6.19": ("Realised volatility", 112),
    "1.6.20": ("HMM regimes", 84),
    "1.6.21": ("Cross-sectional panel", 42),
    "1.7.1": ("Momentum", 168),
    "1.7.2": ("Regime", 112),
    "1.7.3": ("Returns", 56),
    "1.8.1": ("Time", 10),
    "1.8.2": ("Spread", 0),
    "1.8.3": ("OHLC index", 0),
}
"""Stage -> title and the counted columns the plan gives it. Stages 1.6.10-1.8.3 as the plan prints them; what stage
1.6.9 renames and no later one makes is a stage of our own."""

GROUPS: Mapping[str, int] = {"rate": 268, "bqx": 300, "cross": 346, "advanced": 350}
"""The plan's four groups and their counted columns: stages 1.6 by domain, 1.7 with 1.8, the dual datasets of 1.6."""


@dataclass(frozen=True, slots=True)
class StageColumns:
    """planned, counted, auxiliary : numbers of columns."""

    stage: str
    title: str
    planned: int
    counted: int
    auxiliary: int
    datasets: tuple[str, ...]


def group_of(home: Dataset) -> str:
    """The plan's group of a counted dataset."""
    if home.stage.startswith(("1.7.", "1.8.")):
        return "cross"
    return "advanced" if home.domain == "dual" else home.domain


def by_stage(homes: Sequence[Dataset]) -> list[StageColumns]:
    """Columns of our own datasets by stage.

    Raises CheckError when a counted column is in two datasets' names alike, has no stage of the plan, or when a stage
    or a group has more or fewer than the plan says.
    """
    ours = [home for home in homes if home.origin == OURS]
    seen: dict[str, str] = {}
    for home in (h for h in ours if h.counted):
        if home.stage not in STAGES:
            raise CheckError(f"stage {home.stage!r} is not in the plan", where=home.name)
        if home.inherited != (home.stage == INHERITED):
            raise CheckError("inherited columns belong to stage 1.6.9a, and no others do", where=home.name)
        for item in home.columns:
            path = f"{home.name}.{item.name}"
            if path in seen:
                raise CheckError(f"{path} belongs to stages {seen[path]} and {home.stage}", where=home.name)
            seen[path] = home.stage
    rows = []
    for stage, (title, planned) in STAGES.items():
        mine = [h for h in ours if h.stage == stage]
        counted = sum(of == stage for of in seen.values())
        if counted != planned:
            raise CheckError(f"stage {stage} has {counted} counted columns, the plan says {planned}", where=title)
        auxiliary = sum(len(h.columns) for h in mine if not h.counted)
        rows.append(StageColumns(stage, title, planned, counted, auxiliary, tuple(h.name for h in mine)))
    for group, planned in GROUPS.items():
        found = sum(len(h.columns) for h in ours if h.counted and group_of(h) == group)
        if found != planned:
            raise CheckError(f"group {group} has {found} counted columns, the plan says {planned}")
    return rows

"""The catalogue's counts (T1): 1,264 counted columns in 35 datasets, each built by exactly one stage."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from bqx.features.catalogue import count, own_datasets

HOMES = list(own_datasets().values())
GROUPS = {
    "rate": (268, {"technical", "statistics", "bollinger", "fibonacci", "volume", "correlation"}),
    "bqx": (300, {"technical", "statistics", "bollinger", "fibonacci", "volume", "correlation"}),
    "cross": (346, {"returns_raw", "returns_std", "momentum_w15", "momentum_w30", "momentum_w60", "momentum_w240",
                    "regime_vol", "regime_trend", "time"}),
    "advanced": (350, {"error_correction", "realized_volatility", "hmm_regime", "cross_sectional"}),
}  # fmt: skip
"""Rows of the plan's table: counted columns and families."""

SPECIFIED = Path(__file__).parents[3] / "shared" / "specs" / "columns.csv"


def test_totals() -> None:
    sizes = count(HOMES)
    assert (sizes["counted"], sizes["inherited"], sizes["laggable"]) == (1264, 184, 344)
    assert sizes["counted"] - sizes["inherited"] == 1080
    assert sizes["counted"] + 4 * sizes["laggable"] == 2640
    assert len(HOMES) - 1 == 35, "base_bqx is an input, not one of the 35"


@pytest.mark.parametrize("group", GROUPS)
def test_groups(group: str) -> None:
    total, names = GROUPS[group]
    mine = [h for h in HOMES if h.counted and h.family in names and (group not in ("rate", "bqx") or h.domain == group)]
    assert {h.family for h in mine} == names
    assert sum(len(h.columns) for h in mine) == total


def test_every_counted_column_has_one_stage() -> None:
    stages = Counter()
    for home in HOMES:
        assert home.stage, home.name
        stages[home.stage] += len(home.columns) if home.counted else 0
    assert stages["1.6.9a"] == 184
    assert sum(n for stage, n in stages.items() if stage != "1.6.9a") == 1080
    assert {"1.7.1": 168, "1.7.2": 112, "1.7.3": 56, "1.8.1": 10}.items() <= stages.items()


@pytest.mark.real_data
@pytest.mark.skipif(not SPECIFIED.exists(), reason="the specification's list of columns is not at hand")
def test_names_are_those_specified() -> None:
    with SPECIFIED.open(encoding="utf-8") as stream:
        wanted = [(r["dataset"], r["column"]) for r in csv.DictReader(stream) if r["counted"] == "1"]
    have = {h.name: [c.name for c in h.columns] for h in HOMES if h.counted}
    by_dataset: dict[str, list[str]] = {}
    for dataset, column in wanted:
        by_dataset.setdefault(dataset, []).append(column)
    assert have.keys() == by_dataset.keys()
    for name, columns in by_dataset.items():
        assert have[name] == columns, name

"""The catalogue's counts (T1): 1,264 counted columns in 35 datasets, each built by exactly one stage."""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from bqx.base.errors import CheckError
from bqx.cli.main import main
from bqx.features.catalogue import count, own_datasets
from bqx.features.declare import Dataset
from bqx.features.stages import GROUPS, by_stage, group_of

HOMES = list(own_datasets().values())
FAMILIES = {
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


@pytest.mark.parametrize("group", FAMILIES)
def test_groups(group: str) -> None:
    total, names = FAMILIES[group]
    mine = [h for h in HOMES if h.counted and h.family in names and (group not in ("rate", "bqx") or h.domain == group)]
    assert {h.family for h in mine} == names
    assert sum(len(h.columns) for h in mine) == total


def test_every_counted_column_has_one_stage() -> None:
    rows = {row.stage: row for row in by_stage(HOMES)}
    stages = Counter({home.stage: 0 for home in HOMES})
    for home in HOMES:
        stages[home.stage] += len(home.columns) if home.counted else 0
    assert {stage: row.counted for stage, row in rows.items()} == {s: n for s, n in stages.items() if s != "base"}
    assert sum(row.counted for row in rows.values()) - rows["1.6.9a"].counted == 1080
    assert [sum(len(h.columns) for h in HOMES if h.counted and group_of(h) == g) for g in GROUPS] == [
        268,
        300,
        346,
        350,
    ]


def _moved(name: str, **change: object) -> list[Dataset]:
    return [replace(h, **change) if h.name == name else h for h in HOMES]


@pytest.mark.parametrize(
    ("homes", "message"),
    [
        (_moved("time_dual", stage="1.9"), "'1.9' is not in the plan"),
        (_moved("time_dual", stage="1.8.2"), "1.8.1 has 0 counted columns, the plan says 10"),
        (_moved("volume_bqx", columns=HOMES[0].columns), "1.6.15 has 43 counted columns, the plan says 48"),
        (_moved("volume_rate", inherited=False), "inherited"),
        ([*HOMES, next(h for h in HOMES if h.name == "time_dual")], "belongs to stages 1.8.1 and 1.8.1"),
    ],
)
def test_a_column_of_no_stage_or_of_two_is_found(homes: list[Dataset], message: str) -> None:
    with pytest.raises(CheckError, match=message):
        by_stage(homes)


def test_coverage_command(capsys: pytest.CaptureFixture[str]) -> None:
    main(["features", "coverage", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (found["counted"], found["built_by_stages"], found["candidates"]) == (1264, 1080, 2640)
    main(["features", "coverage"])
    assert "268 + 300 + 346 + 350 = 1,264" in capsys.readouterr().out


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

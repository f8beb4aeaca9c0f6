"""Coverage: every NULL of the store has one reason, and they add up to what the manifest counts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from bqx.base.errors import CheckError
from bqx.build.choice import Choice
from bqx.build.coverage import Coverage, project_coverage, world_coverage
from bqx.build.coverage_map import heat_map
from bqx.build.project import Project
from bqx.build.run import build
from bqx.cli.main import root
from bqx.features import catalogue
from bqx.features.checks import World
from bqx.features.reasons import REASONS
from bqx.market.bars import QUOTE_COLUMNS
from bqx.market.calendar import Calendar, datetime_of, month_span
from bqx.market.simulated import simulate, simulated_source
from bqx.store.partition import PartitionKey

DATASETS = "returns_raw_rate,base_bqx,volume_rate,spread_bqx"
PAIRS = ("eurusd", "usdjpy")
LATE = 2 * 1440 + 333
"""usdjpy begins so many minutes later, and its source has neither volume nor quotes."""


@pytest.fixture(scope="module")
def frames() -> dict[str, pl.DataFrame]:
    boundary = month_span("2024_07")[0]
    begin, end = boundary - 8 * 1440, boundary + 4 * 1440
    whole = simulate(Calendar.load(), begin, end, seed=5, pairs=PAIRS, origin_minute=begin)
    hole = (pl.col("ts_utc") < datetime_of(boundary + 600)) | (pl.col("ts_utc") >= datetime_of(boundary + 690))
    short = (pl.col("ts_utc") < datetime_of(boundary + 900)) | (pl.col("ts_utc") >= datetime_of(boundary + 904))
    late = pl.col("ts_utc") >= datetime_of(int(whole["usdjpy"]["ts_utc"].to_physical()[0]) // 60_000_000 + LATE)
    bare = [pl.lit(None, dtype=pl.Float64).alias(c) for c in ("volume", *QUOTE_COLUMNS)]
    return {"eurusd": whole["eurusd"].filter(hole & short), "usdjpy": whole["usdjpy"].filter(late).with_columns(bare)}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, frames: dict[str, pl.DataFrame]) -> Iterator[Project]:
    made = Project.create(tmp_path_factory.mktemp("coverage") / "p", pairs=PAIRS)
    for pair, frame in frames.items():
        made.bars.ingest(pair, frame, simulated_source(5))
    report = build(made, Choice.parse(made.resolve_column, datasets=DATASETS), threads=1)
    assert report.failures == []
    yield made
    made.close()


@pytest.fixture(scope="module")
def found(project: Project) -> Coverage:
    return project_coverage(project, Choice.parse(project.resolve_column, datasets=DATASETS))


def test_it_adds_up_to_the_store(project: Project, found: Coverage) -> None:
    held = {info.key: info for info in project.store.partitions()}
    cells = found.cells
    assert set(cells["dataset"]) == set(DATASETS.split(","))
    assert len(cells) == sum(len(info.columns) for info in held.values())
    for row in cells.iter_rows(named=True):
        info = held[PartitionKey(row["dataset"], row["pair"], row["month"])]
        assert row["rows"] == info.rows
        assert row["rows"] - row["present"] == info.null_counts[row["column"]] == sum(row[r] for r in REASONS)
        assert all(row[r] >= 0 for r in REASONS)
    nulls = sum(sum(info.null_counts[c] for c in info.columns) for info in held.values())
    assert found.total["rows"] - found.total["present"] == nulls == sum(found.total[r] for r in REASONS)
    assert found.by("dataset")["rows"].sum() == found.total["rows"]
    for reason in REASONS:
        # none of these datasets looks at other pairs
        assert (found.total[reason] > 0) == (reason != "panel"), f"nothing here is NULL by {reason}"


def test_returns_by_hand(project: Project, found: Coverage, frames: dict[str, pl.DataFrame]) -> None:
    """ret_60 of eurusd minute by minute, counted in plain Python."""
    calendar = project.calendar
    minutes = [int(t) // 60_000_000 for t in frames["eurusd"]["ts_utc"].to_physical()]
    grid = calendar.grid(calendar.segment_start(minutes[0]), minutes[-1] + 1)
    have, price, run = set(minutes), [], 0
    for minute, age in zip(grid.minute.tolist(), grid.seg_age.tolist(), strict=True):
        run = 0 if minute in have else run + 1 if age else 99
        price.append(run <= 5)
    begin = grid.index(minutes[0])
    want = {"2024_06": dict.fromkeys(("warm-up", "closure", "gap"), 0)}
    want["2024_07"] = dict(want["2024_06"])
    for k in range(begin, len(grid)):
        month = "2024_06" if grid.minute[k] < month_span("2024_07")[0] else "2024_07"
        if k - begin + 1 < 61:
            want[month]["warm-up"] += 1
        elif grid.seg_age[k] < 60:
            want[month]["closure"] += 1
        elif not (price[k] and price[k - 60]):
            want[month]["gap"] += 1
    one = found.cells.filter(column="ret_60", pair="eurusd")
    assert {r["month"]: {name: r[name] for name in want["2024_06"]} for r in one.iter_rows(named=True)} == want
    assert want["2024_07"]["gap"] >= 85 + 60, "90 minutes of which 5 are carried, then 60 that look back into them"
    assert one["capability"].sum() == one["undefined"].sum() == one["baseline"].sum() == 0


def test_what_the_source_lacks(found: Coverage) -> None:
    """usdjpy has no volume and no quotes: nothing of volume, capability wherever its own history would allow it."""
    bare = found.cells.filter((pl.col("dataset") == "volume_rate") & (pl.col("pair") == "usdjpy"))
    assert bare["present"].sum() == 0
    near = bare.filter(pl.col("column") == "vol_ratio_60")
    assert near["capability"].sum() > 0.8 * near["rows"].sum()
    assert near["undefined"].sum() == 0
    full = found.cells.filter(pl.col("pair") == "eurusd")
    assert full["capability"].sum() == 0
    before = found.cells.filter(column="rate_index", pair="eurusd")
    assert before["baseline"].sum() > 1440, "T0 is where both pairs have bars"


def test_reasons_agree_with_explain(project: Project, found: Coverage) -> None:
    """Where only one reason is possible, the words of `bqx features explain` begin with it."""
    from bqx.build.explain import explain

    late = project.bars.spans()["usdjpy"][0]
    for column, minute, reason in (
        ("returns_raw_rate.ret_60", late + 30, "warm-up"),
        ("volume_rate.vol_ratio_15", late + 300, "capability"),
        ("base_bqx.rate_index", project.bars.spans()["eurusd"][0] + 100, "baseline"),
    ):
        pair = "eurusd" if reason == "baseline" else "usdjpy"
        text = explain(project, column, pair, minute).reason
        assert (text or "").startswith(reason), (column, text)


def test_bars_without_a_store(project: Project, frames: dict[str, pl.DataFrame], found: Coverage) -> None:
    """The same counts from computed values, as `bqx features check --bars` prints them."""
    first = int(frames["usdjpy"]["ts_utc"].to_physical()[0]) // 60_000_000
    world = World(frames, project.calendar, first)
    home = catalogue.dataset("returns_raw_rate")
    mine = world_coverage([home], world, True).by("column")
    store = found.by("dataset", "column").filter(pl.col("dataset") == home.name).drop("dataset")
    assert mine.equals(store)


def test_it_refuses_what_cannot_be(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store with more values than calendar and bars allow, or fewer where the column is never undefined."""
    home = catalogue.dataset("returns_raw_rate")
    choice = Choice.parse(project.resolve_column, datasets=home.name)
    by_name = home.by_name
    swapped = tuple(
        replace(c, support=by_name[other].support)
        for c, other in zip(home.columns, ("ret_2", "ret_1", *list(by_name)[2:]), strict=True)
    )
    for k, word in ((0, "more"), (1, "fewer")):
        columns = tuple(swapped[k] if n == k else c for n, c in enumerate(home.columns))
        with monkeypatch.context() as patch:
            patch.setitem(home.__dict__, "columns", columns)
            with pytest.raises(CheckError, match=f"values {word} than calendar and bars allow"):
                project_coverage(project, choice)


def test_command_and_page(project: Project, found: Coverage, tmp_path: Path) -> None:
    page = tmp_path / "coverage.html"
    names = [part for name in DATASETS.split(",") for part in ("--dataset", name)]
    call = ["-C", str(project.root), "build", "coverage", *names]
    ran = CliRunner().invoke(root, [*call, "--html", str(page)], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    assert "returns_raw_rate.ret_60" in ran.output
    assert "capability: the source of the bars gives no volume" in ran.output
    assert f"{found.total['rows']:,} values of features of SIMULATED bars" in ran.output
    text = page.read_text()
    assert text.count("<svg") == 1 + 4 + 1
    assert "SIMULATED DATA" in text
    assert not re.search(r"(?:src|href)\s*=\s*[\"']https?:", text)
    assert f"{found.total['present']:,}" in text
    data = json.loads(CliRunner().invoke(root, [*call, "--json"]).stdout)
    assert data["total"] == found.total
    assert len(data["columns"]) == found.by("dataset", "column").height
    only = json.loads(
        CliRunner().invoke(root, [*call[:4], *names[:2], "--pair", "eurusd", "--month", "2024_07", "--json"]).stdout
    )
    cells = found.cells.filter(dataset="returns_raw_rate", pair="eurusd", month="2024_07")
    assert only["total"]["rows"] == cells["rows"].sum()


def test_nothing_built(tmp_path: Path) -> None:
    empty = Project.create(tmp_path / "p", pairs=["eurusd"])
    with pytest.raises(CheckError, match="no fresh partition"):
        project_coverage(empty)
    empty.close()


def test_heat_map_says_what_colours_say() -> None:
    share = np.array([[0.0, 0.5], [np.nan, 1.0]])
    svg = heat_map(["a<b", "c"], ["x", "y"], share, lambda i, j: f"cell{i}{j}")
    assert "a&lt;b" in svg
    assert [f"cell{i}{j}" in svg for i in (0, 1) for j in (0, 1)] == [True, True, False, True], "nothing where no value"
    assert svg.count("<rect") == 4

"""Builds give the same bytes however they are cut, go on where they stopped, and report what failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from small_project import PAIRS, contents

from bqx.base.errors import BuildError, DiskError, FeatureError, UsageError
from bqx.build.choice import Choice, month_key
from bqx.build.disk import check_disk
from bqx.build.ledger import Ledger
from bqx.build.project import Project
from bqx.build.run import build, plan
from bqx.build.tables import lanes, table
from bqx.build.tasks import make_tasks
from bqx.features.catalogue import own_datasets
from bqx.features.declare import Dataset
from bqx.features.identities import total
from bqx.market.calendar import month_span
from few_datasets import few

pytestmark = pytest.mark.usefixtures("few_datasets")
Copy = Callable[[Path], Project]


def test_a_second_run_finds_everything_fresh(built: Path, copy: Copy) -> None:
    project = copy(built)
    before = contents(project)
    report = build(project)
    assert (report.built, report.values, report.fresh) == (0, 0, 2 * len(PAIRS) * len(few()))
    assert contents(project) == before


def test_any_number_of_threads_gives_the_same_bytes(unbuilt: Path, copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all datasets: P2 over the whole catalogue."""
    monkeypatch.setattr("bqx.build.project.datasets", own_datasets)
    one, four = copy(unbuilt), copy(unbuilt)
    build(one, threads=1)
    build(four, threads=4)
    assert contents(one) == contents(four)
    assert len(contents(one)) == 2 * len(PAIRS) * len(own_datasets())


def test_months_pairs_and_datasets_built_alone_equal_the_whole(unbuilt: Path, built: Path, copy: Copy) -> None:
    project = copy(unbuilt)
    build(project, Choice(first_month="2024_07"), threads=1)
    assert {i.key.ym for i in project.store.partitions()} == {"2024_07"}
    build(project, Choice(pairs=("gbpusd",), datasets=("returns_std_bqx",)), threads=1)
    assert {(i.key.pair, i.key.dataset) for i in project.store.partitions() if i.key.ym == "2024_06"} == {
        ("gbpusd", "returns_std_bqx")
    }
    build(project)
    assert contents(project) == contents(copy(built))


def test_a_small_memory_bound_cuts_tasks_by_pairs_and_changes_nothing(unbuilt: Path, built: Path, copy: Copy) -> None:
    project = copy(unbuilt)
    found, inputs = plan(project)
    alone = [u for u in found.units if not inputs.recipes[u.dataset].everyone]
    assert len(make_tasks(alone, inputs, 1 << 62)) == 1, "two months make a task"
    cut = make_tasks(alone, inputs, 1)
    assert {len(task.pairs) for task in cut} == {1}
    assert sum(task.values for task in cut) == sum(unit.values for unit in alone)
    two = make_tasks(alone, inputs, 1 << 62)[0].bytes
    assert [(t.ym, t.pairs) for t in make_tasks(alone, inputs, two - 1)] == [
        ("2024_06", tuple(PAIRS)),
        ("2024_07", tuple(PAIRS)),
    ], "months are taken one by one before pairs are"
    panels = [u for u in found.units if inputs.recipes[u.dataset].everyone]
    assert [(t.ym, t.pairs) for t in make_tasks(panels, inputs, 1)] == [
        ("2024_06", tuple(PAIRS)),
        ("2024_07", tuple(PAIRS)),
    ], "a panel is never cut by pairs"
    assert len(make_tasks(panels, inputs, 1 << 62)) == 1
    assert len(make_tasks(panels, inputs, 1 << 62, workers=2)) == 2, "no worker is left idle for it"
    small = Project.open(project.root, overrides={"build.memory_gb": "0.001"})
    build(small, threads=2)
    assert contents(small) == contents(copy(built))


def test_the_last_tasks_are_cut_for_workers_that_would_be_idle(unbuilt: Path, copy: Copy) -> None:
    """Three months on two workers: the third is halved."""
    found, inputs = plan(copy(unbuilt))
    alone = [u for u in found.units if not inputs.recipes[u.dataset].everyone]
    of = {ym: [u for u in alone if u.ym == ym] for ym in ("2024_06", "2024_07")}
    three = [*(replace(u, ym="2024_05") for u in of["2024_06"]), *of["2024_06"], *of["2024_07"]]
    tasks = make_tasks(three, inputs, 1 << 62, workers=2)
    assert [len(t.pairs) for t in tasks if t.ym == "2024_07"] == [len(PAIRS) // 2, len(PAIRS) - len(PAIRS) // 2]
    assert [len(t.pairs) for t in tasks if t.ym != "2024_07"] == [len(PAIRS)] * 2
    assert sum(t.values for t in tasks) == sum(u.values for u in three)


def test_a_task_counts_what_its_second_month_sees_once(unbuilt: Path, copy: Copy) -> None:
    """Months that lack different things are tasks of their own."""
    found, inputs = plan(copy(unbuilt))
    alone = [u for u in found.units if not inputs.recipes[u.dataset].everyone]
    (task,) = make_tasks(alone, inputs, 1 << 62)
    assert [u.ym for u in task.units[:4]] == ["2024_06", "2024_07", "2024_06", "2024_07"]
    assert task.units[0].dataset == task.units[1].dataset
    second = [u for u in task.units if u.ym == "2024_07"]
    rows = inputs.rows(month_span("2024_07")[0], inputs.end("2024_07") - 1)
    assert all(u.look == len(u.columns) * rows for u in second)
    assert sum(u.computed for u in second) < sum(u.computed for u in alone if u.ym == "2024_07")
    other = [replace(u, pieces=u.pieces[:1]) if u.ym == "2024_07" else u for u in alone]
    assert [t.ym for t in make_tasks(other, inputs, 1 << 62)] == ["2024_06", "2024_07"]
    fewer = [u for u in alone if (u.ym, u.dataset) != ("2024_07", alone[0].dataset)]
    assert [t.ym for t in make_tasks(fewer, inputs, 1 << 62)] == ["2024_06", "2024_07"]


def test_some_columns_now_the_rest_later(unbuilt: Path, built: Path, copy: Copy) -> None:
    project = copy(unbuilt)
    choice = Choice.parse(project.resolve_column, columns="returns_raw_rate.ret_1, returns_raw_rate.ret_15")
    build(project, choice)
    held = project.store.partitions()
    assert {info.columns for info in held} == {("ret_1", "ret_15")}
    assert plan(project, choice)[0].units == ()
    wanted = plan(project, Choice(datasets=("returns_raw_rate",)))[0].units
    assert {piece.reason for unit in wanted for piece in unit.pieces} == {"12 columns missing"}
    build(project)
    assert contents(project) == contents(copy(built))
    assert plan(project, choice)[0].units == (), "a partition with more columns than asked for is fresh"
    forced = plan(project, choice, force=True)[0].units
    assert {len(unit.columns) for unit in forced} == {14}, "building some columns must not lose the others"


def test_rows_are_the_open_minutes_between_first_and_last_bar(built: Path, copy: Copy) -> None:
    project = copy(built)
    spans = project.bars.spans()
    for info in project.store.partitions():
        first, last = spans[info.key.pair]
        start, end = info.key.span
        grid = project.calendar.grid(max(start, first), min(end, last + 1))
        frame = project.store.read(info.key.dataset, [info.key.pair], info.key.span).collect()
        assert frame["ts_utc"].to_physical().to_list() == (grid.minute * 60_000_000).tolist()


class _Changed(Project):
    """A project in which one dataset's code was replaced."""

    change: Dataset

    @property
    def catalogue(self) -> Mapping[str, Dataset]:
        return {**few(), self.change.name: self.change}


def _broken(project: Project, home: Dataset) -> _Changed:
    changed = _Changed.open(project.root)
    changed.change = home
    return changed


def test_a_unit_that_fails_is_named_and_the_rest_is_built(unbuilt: Path, built: Path, copy: Copy) -> None:
    calls = []

    def explode(streams: object, names: object) -> dict[str, np.ndarray]:
        calls.append(names)
        raise ZeroDivisionError("a bug of the family")

    project = copy(unbuilt)
    broken = _broken(project, replace(few()["returns_std_rate"], compute=explode))
    with pytest.raises(BuildError, match=rf"^BQX501 2 of {2 * len(few())} units failed") as caught:
        build(broken, threads=1, retries=2)
    assert "returns_std_rate 2024_06: ZeroDivisionError: a bug of the family (test_engine.py" in str(caught.value)
    assert caught.value.exit_code == 9
    assert len(calls) == 2 * 3
    failures = Ledger(project.manifest).failures()
    assert [(f["dataset"], f["month"], f["attempts"]) for f in failures] == [
        ("returns_std_rate", "2024_06", 3),
        ("returns_std_rate", "2024_07", 3),
    ]
    assert len(project.store.partitions()) == (len(few()) - 1) * 2 * len(PAIRS)
    report = build(project)
    assert (report.built, Ledger(project.manifest).failures()) == (2, [])
    assert contents(project) == contents(copy(built))


def test_an_infinite_value_never_reaches_the_store(unbuilt: Path, copy: Copy) -> None:
    home = few()["time_dual"]

    def infinite(streams: object, names: object) -> dict[str, np.ndarray]:
        values = dict(home.compute(streams, names))  # type: ignore[arg-type]
        name = next(iter(values))
        values[name] = np.where(np.arange(len(values[name]))[:, None] % 1000 == 999, np.inf, values[name])
        return values

    broken = _broken(copy(unbuilt), replace(home, compute=infinite))
    with pytest.raises(BuildError, match="infinite value"):
        build(broken, Choice(datasets=("time_dual",), first_month="2024_07"), retries=0)
    assert broken.store.partitions() == []


def test_a_build_holds_values_against_bounds_and_identities_before_it_writes(unbuilt: Path, copy: Copy) -> None:
    home = few()["time_dual"]
    whole = Choice(datasets=("time_dual",), first_month="2024_07")
    assert build(copy(unbuilt), whole).compared > 10_000
    tight = replace(home, columns=tuple(replace(c, bounds=(-0.5, 0.5)) for c in home.columns))
    sine = total("sine alone", ("hour_sin",), 2.0)
    for spoilt, message in ((tight, "declared are -0.5 to 0.5"), (replace(home, identities=(sine,)), "hour_sin = 2")):
        broken = _broken(copy(unbuilt), spoilt)
        with pytest.raises(BuildError, match=message):
            build(broken, whole, retries=0)
        assert broken.store.partitions() == []


def test_conversion_keeps_null_and_refuses_what_a_type_cannot_hold() -> None:
    home = few()["ohlc_rate"]
    minute = np.array([0, 1, 2], dtype=np.int64)
    typed = lanes(home, {"seg_age": np.array([[1.0], [np.nan], [7.0]])}, minute, ("eurusd",))
    frame = table(home, typed, minute, 0, slice(0, 3))
    assert frame["seg_age"].to_list() == [1, None, 7]
    assert frame.schema["ts_utc"] == pl.Datetime("us", "UTC")
    for bad in (1.5, 1e12, np.inf):
        with pytest.raises(FeatureError, match="seg_age") as caught:
            lanes(home, {"seg_age": np.array([[1.0], [bad], [7.0]])}, minute, ("eurusd",))
        assert caught.value.where == "eurusd 1970-01-01T00:01:00+00:00"


def test_a_disk_that_is_too_small_is_told_before_a_build(tmp_path: Path) -> None:
    check_disk(tmp_path, 1000, free=1200)
    with pytest.raises(DiskError, match=r"needs about 1.2 GB .* 900.0 MB are free"):
        check_disk(tmp_path, 1_000_000_000, free=900_000_000)


def test_a_choice_is_read_or_refused(built: Path, copy: Copy) -> None:
    project = copy(built)
    choice = Choice.parse(project.resolve_column, pairs="EUR/USD,gbpusd", first="2024-07", last="202407")
    assert (choice.pairs, choice.first_month, choice.last_month) == (("eurusd", "gbpusd"), "2024_07", "2024_07")
    with pytest.raises(UsageError, match="not a month"):
        month_key("July")
    with pytest.raises(UsageError, match="after"):
        Choice.parse(project.resolve_column, first="2024-08", last="2024-07")
    with pytest.raises(UsageError, match="unknown dataset 'nope_rate'"):
        plan(project, Choice(datasets=("nope_rate",)))

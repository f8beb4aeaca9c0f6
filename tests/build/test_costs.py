"""Costs are measured by builds, and forecasts made of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from bqx.base.errors import BuildError
from bqx.build.choice import Choice
from bqx.build.costs import Cost, Costs, shipped
from bqx.build.gather import gather
from bqx.build.ledger import Ledger
from bqx.build.planner import Plan
from bqx.build.profile import profile
from bqx.build.project import Project
from bqx.build.run import build, plan
from bqx.build.tasks import Task
from bqx.cli.main import root
from bqx.market.calendar import month_span

Copy = Callable[[Path], Project]
FAST = Costs(
    {"a": Cost(10.0, 20.0, 4.0), "b": Cost(1.0, 2.0, 1.0), "c": Cost(99.0, 9.0, 2.0)}, 5.0, 1e8, 0.5, 2, "test"
)


def test_what_was_never_measured_costs_the_median() -> None:
    assert FAST.of("b", 8.0) == (Cost(1.0, 2.0, 1.0), True)
    assert FAST.of("new", 8.0) == (Cost(10.0, 20.0, 8.0), False)


def test_datasets_not_built_keep_what_was_known() -> None:
    new = Costs({"b": Cost(3.0, 3.0, 3.0)}, 7.0, 2e8, 0.6, 1, "later")
    found = FAST.updated(new)
    assert found.datasets == {**FAST.datasets, **new.datasets}
    assert (found.load_ns, found.threads, found.origin) == (7.0, 1, "later")
    assert Costs.from_dict(json.loads(json.dumps(found.as_dict()))) == found


def test_shipped_costs_are_plausible() -> None:
    assert shipped().datasets
    for cost in shipped().datasets.values():
        assert 0 < cost.compute_ns < 2000 and 0 < cost.write_ns < 1000 and 0 < cost.bytes <= 16


@pytest.mark.parametrize(("threads", "seconds"), [(1, 15.0), (2, 9.0), (3, 7.0)])
def test_tasks_go_to_the_thread_that_is_free_first(threads: int, seconds: float) -> None:
    """Cells of 2, 6, 7 seconds: on two threads the third follows the first."""
    costs = replace(FAST, load_ns=1e9)
    tasks = tuple(Task("2024_07", (), (), 0, 0, cells, 100 * cells) for cells in (2, 6, 7))
    made = Plan((), tasks, 0, threads, costs, ())
    assert made.seconds == seconds
    assert made.memory == 1e8 + 0.5 * 100 * sum(sorted((2, 6, 7))[-threads:])


def test_look_back_is_counted(unbuilt: Path, copy: Copy) -> None:
    """`ret_1440` of a July built from June's bars: the rows of July and those back to the segment it can see."""
    project = copy(unbuilt)
    inputs, _ = gather(project)
    start, last = month_span("2024_07")[0], max(s[1] for s in inputs.spans.values())
    calendar = project.calendar
    seen = calendar.segment_start(calendar.at_ordinal(calendar.ordinal(start) - 1440))
    rows = calendar.ordinal(last + 1) - calendar.ordinal(max(seen, calendar.segment_start(inputs.begin(0))))
    assert inputs.look("returns_raw_rate", ("ret_1440",), "2024_07") == rows
    inside = calendar.ordinal(last + 1) - calendar.ordinal(calendar.segment_start(start))
    assert inputs.look("returns_raw_rate", ("ret_1", "ret_2"), "2024_07") == 2 * inside


def test_a_run_of_months_ends_with_the_last_bar(unbuilt: Path, copy: Copy) -> None:
    project = copy(unbuilt)
    made, inputs = plan(project, threads=1)
    last = max(span[1] for span in inputs.spans.values())
    assert {task.ym: task.end for task in made.tasks} == {"2024_06": last + 1}
    june, _ = plan(project, Choice(last_month="2024_06"))
    assert {task.ym: task.end for task in june.tasks} == {"2024_06": month_span("2024_06")[1]}
    first = min(span[0] for span in inputs.spans.values())
    assert all(task.start >= project.calendar.segment_start(first) for task in made.tasks)


def test_a_second_build_is_forecast_from_the_first(built: Path, copy: Copy) -> None:
    project = copy(built)
    costs = Ledger(project.manifest).costs()
    assert costs is not None and costs.origin == "measured on this machine"
    choice = Choice(datasets=tuple(costs.datasets))
    made, _ = plan(project, choice, force=True)
    assert made.guessed == ()
    report = build(project, choice, force=True)
    assert made.values == report.values
    assert made.bytes == pytest.approx(report.bytes, rel=0.05)
    assert 0.1 < made.seconds / report.seconds < 10, "a shared machine; benchmarks/results/profile.json has the figure"


def test_profile(built: Path, copy: Copy) -> None:
    project = copy(built)
    choice = Choice(datasets=("technical_rate", "statistics_bqx"))
    build(project, choice)
    found = profile(project, choice)
    assert [c.column for c in found] == [
        c.name for name in choice.datasets or () for c in project.catalogue[name].columns
    ]
    assert sum(c.share for c in found) == pytest.approx(1.0)
    assert all(c.alone_ns > 0 and c.bytes > 0 for c in found)
    costs = Ledger(project.manifest).costs()
    assert costs is not None
    for name in choice.datasets or ():
        mine = [c for c in found if c.dataset == name]
        assert sum(c.compute_ns for c in mine) / len(mine) == pytest.approx(costs.datasets[name].compute_ns)
        held = [i for i in project.store.partitions() if i.key.dataset == name]
        size = sum(piece.bytes for info in held for piece in info.pieces)
        stored = sum(c.bytes for c in mine) * sum(info.rows for info in held)
        assert 0.9 * size < stored < size, "columns take all of the files but the time stamps and footers"
    assert {(r["dataset"], r["column"]) for r in Ledger(project.manifest).profile()} == {
        (c.dataset, c.column) for c in found
    }


def test_profile_without_a_build(unbuilt: Path, copy: Copy) -> None:
    with pytest.raises(BuildError, match="no cost has been measured"):
        profile(copy(unbuilt))


def test_command(built: Path, copy: Copy) -> None:
    project = copy(built)
    build(project, Choice(datasets=("technical_rate",)))
    arguments = ["-C", str(project.root), "build", "run", "--datasets", "technical_rate", "--profile", "--json"]
    ran = CliRunner().invoke(root, arguments, catch_exceptions=False)
    assert ran.exit_code == 0
    data = json.loads(ran.stdout)
    assert data["report"]["built"] == 0
    assert len(data["profile"]) == len(project.catalogue["technical_rate"].columns)
    planned = CliRunner().invoke(root, ["-C", str(project.root), "build", "plan", "--force"], catch_exceptions=False)
    assert "of memory (measured on this machine" in planned.stdout

"""A project's schedule of events: built from, hashed by what was known, refused with file and line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bqx.base.errors import ScheduleError
from bqx.build.choice import Choice
from bqx.build.gather import gather
from bqx.build.packing import pack_inputs, unpack_inputs
from bqx.build.project import Project
from bqx.build.run import build, plan
from few_datasets import with_few

Copy = Callable[[Path], Project]
HEAD = "published_utc,scheduled_utc,region,importance,kind\n"
JULY = "2024-06-20T09:00Z,2024-07-05T12:30Z,us,3,data\n2024-06-20T09:00Z,2024-08-02T12:30Z,us,3,data\n"
LATER = "2024-08-20T09:00Z,2024-09-06T12:30Z,us,3,data\n"
COLUMN = {"events_dual": ("min_to_next_high",)}
CHOICE = Choice(pairs=("gbpusd",), columns=COLUMN, first_month="2024_07")


@pytest.fixture(scope="module", autouse=True)
def few_datasets() -> Iterator[None]:
    yield from with_few()


def with_schedule(project: Project, text: str) -> Project:
    (project.root / "events.csv").write_text(text, encoding="utf-8")
    return Project.open(project.root, overrides={"features.extensions": "events", "features.schedule": "events.csv"})


def states(project: Project) -> set[tuple[str, str]]:
    return {(p.state, p.reason) for u in plan(project, CHOICE)[0].units for p in u.pieces}


def test_a_build_reads_it_and_what_was_known_makes_stale(unbuilt: Path, copy: Copy) -> None:
    bare = copy(unbuilt)
    project = with_schedule(bare, HEAD + JULY)
    assert build(project, CHOICE, threads=1).failures == []
    frame = project.frame("gbpusd", ["events_dual"], ["events_dual.min_to_next_high"])
    at = frame.filter(frame["ts_utc"].dt.strftime("%m-%d %H:%M") == "07-05 12:00")
    assert at["events_dual.min_to_next_high"].to_list() == [30]
    assert states(project) == set()
    project.close()
    later = with_schedule(bare, HEAD + JULY + LATER)
    assert states(later) == set(), "published after the month: nobody could know it then"
    later.close()
    moved = with_schedule(bare, HEAD + JULY.replace("12:30Z,us", "13:30Z,us", 1))
    assert states(moved) == {("stale", "the schedule of events changed")}
    moved.close()


def test_workers_get_it(unbuilt: Path, copy: Copy) -> None:
    project = with_schedule(copy(unbuilt), HEAD + JULY)
    inputs, _ = gather(project)
    assert inputs.schedule is not None and len(inputs.schedule.events) == 2
    assert unpack_inputs(pack_inputs(inputs), project.catalogue).schedule == inputs.schedule
    project.close()


def test_a_wrong_line_stops_the_build(unbuilt: Path, copy: Copy) -> None:
    project = with_schedule(copy(unbuilt), HEAD + JULY.replace(",3,", ",9,", 1))
    with pytest.raises(ScheduleError, match=r"events\.csv:2"):
        build(project, CHOICE, threads=1)
    project.close()

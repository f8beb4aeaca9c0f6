"""A project whose stages were run: three simulated pairs over seventeen days in two months."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ops_project import END, PAIRS, START

from bqx.build.project import Project
from bqx.market.calendar import Calendar
from bqx.market.simulated import simulate, simulated_source
from bqx.ops.plan.read import load_plan
from bqx.ops.stages.run import Outcome, run_stage
from bqx.ops.stages.state import PlanState

RUN = ("1.6.9", "1.8.1", "1.7.3", "1.6.16")
"""Stages that were run, in this order: names, a calendar's, one of four datasets, and one of the panel."""


@pytest.fixture(scope="session")
def unstaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with bars and nothing else; copy it before use."""
    root = tmp_path_factory.mktemp("unstaged") / "p"
    project = Project.create(root, name="three pairs", pairs=PAIRS)
    for pair, frame in simulate(Calendar.load(), START, END, seed=7, pairs=PAIRS, origin_minute=START).items():
        project.bars.ingest(pair, frame, simulated_source(7))
    project.close()
    return root


@pytest.fixture(scope="session")
def outcomes() -> dict[str, Outcome]:
    """What the runs of `staged` came to, by stage."""
    return {}


@pytest.fixture(scope="session")
def staged(tmp_path_factory: pytest.TempPathFactory, unstaged: Path, outcomes: dict[str, Outcome]) -> Path:
    """The same with the stages of RUN; copy it before changing it."""
    root = tmp_path_factory.mktemp("staged") / "p"
    shutil.copytree(unstaged, root)
    project, state = Project.open(root), PlanState(root)
    for name in RUN:
        outcomes[name] = run_stage(project, load_plan(), state, name)
    state.close()
    project.close()
    return root


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[Path], tuple[Project, PlanState]]]:
    """opened(root) -> a copy of a project, and its plan's state."""
    made: list[Project | PlanState] = []

    def make(root: Path) -> tuple[Project, PlanState]:
        target = tmp_path / f"copy{len(made)}"
        shutil.copytree(root, target)
        project, state = Project.open(target), PlanState(target)
        made.extend((project, state))
        return project, state

    yield make
    for each in made:
        each.close()

"""Progress on anything but a terminal: plain lines with the time left."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bqx.build import progress
from bqx.build.choice import Choice
from bqx.build.edge_cache import recall
from bqx.build.gather import gather
from bqx.build.project import Project
from bqx.build.run import build

Copy = Callable[[Path], Project]


def test_lines_say_how_much_is_done(
    unbuilt: Path, copy: Copy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0.0)
    choice = Choice(datasets=("time_dual", "ohlc_rate"))
    build(copy(unbuilt), choice, threads=1, progress=lambda todo: progress.make_progress(todo.values))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert all(re.fullmatch(r" *\d+ % built, .* left \((time_dual|ohlc_rate) 2024_0[67]\)", line) for line in lines)
    assert lines[-1].startswith("100 % built, 0 s left")


def test_times_are_short() -> None:
    assert [progress.human_time(s) for s in (0.04, 59.6, 3725)] == ["0 s", "60 s", "1 h 2 min"]


def test_weekly_opens_and_closes_are_remembered_and_forgotten_when_bars_change(built: Path, copy: Copy) -> None:
    project = copy(built)
    known = recall(project.manifest)
    inputs, _ = gather(project)
    assert {pair: edges for pair, (_, edges) in known.items()} == inputs.edges
    assert all(len(edges) == 3 for edges in inputs.edges.values())
    later, _ = gather(project, patch=lambda pair, frame: frame.with_columns(frame["close"] * 2))
    assert later.edges["eurusd"][0].last_close == 2 * inputs.edges["eurusd"][0].last_close

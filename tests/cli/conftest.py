"""Fixtures of the tests of `bqx bars`."""

from __future__ import annotations

from pathlib import Path

import pytest

from bars_run import Run
from bqx.build.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = tmp_path / "project"
    Project.create(path).close()
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], project: Path) -> Run:
    return Run(capsys, project)

"""The notebook in docs/ runs from top to bottom on a project with a run, and says what it must."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from registered import make_world

from bqx.build.project import Project

NOTEBOOK = Path(__file__).parents[3] / "docs" / "notebooks" / "judge-a-model.ipynb"


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Project.create(tmp_path / "p", pairs=["eurusd", "usdjpy"]).close()
    world = make_world(tmp_path / "p")
    world.models(world.run("noise", seed=5, weeks=6))
    monkeypatch.setenv("PROJECT", str(world.root))
    monkeypatch.setenv("RUN", "noise")
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    book = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not c.get("outputs") for c in book.cells), "no stored output: it would be a number nobody computed"
    done = NotebookClient(
        book, timeout=300, kernel_name="python3", resources={"metadata": {"path": os.fspath(tmp_path)}}
    )
    ran = done.execute()
    text = "".join(o.get("text", "") for c in ran.cells if c.cell_type == "code" for o in c.outputs)
    assert "SIMULATED DATA" in text and "no demonstrated skill" in text
    assert "GATE2 skill        fail" in text and "GATE8 operations   no evidence" in text

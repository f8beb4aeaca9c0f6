"""The small sibling of the soak `train-kill`: killed by SIGKILL and run again, a run has the same bytes."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from bqx.build.project import Project
from bqx.research.artefact import make_key
from bqx.research.dataset import Dataset
from bqx.research.training.folder import open_run
from bqx.research.trials import Trials

sys.path.insert(0, str(Path(__file__).parents[2]))
soak: Any = importlib.import_module("benchmarks.soak.train_kill")
KEY = make_key()[0].reveal()


@pytest.fixture(scope="module")
def wanted(noise_world: Project, noise_dataset: Dataset) -> dict[str, bytes]:
    """An undisturbed run, made in this process."""
    soak.work(str(noise_world.root), KEY, "1")
    return dict(soak.contents(noise_world.root))


def test_killed_anywhere_it_ends_with_the_same_bytes(noise_world: Project, wanted: dict[str, bytes]) -> None:
    """In a cell with two threads; and with all cells done, between two models. The last is finished in this process."""
    run = open_run(noise_world, soak.NAME)
    assert run.state == "done" and len(run.tables()) == 4 and sum(k.startswith("artefacts/") for k in wanted) > 10
    found = [
        soak.trial(noise_world.root, KEY, *how, wanted) for how in (("after-temp-write:9", 2), ("after-commit:1", 1))
    ]
    assert [t["problem"] for t in found] == ["", ""]
    assert all(t["killed"] for t in found) and 0 < found[0]["cells"] < 12 and found[1]["cells"] == 12
    assert soak.judged(found)["ok"] and soak.judged(found)["killed"] == 2
    chosen = {"feature_set": run.head["mask"]["digest"], "target": "y3_15_15", "fold": "0", "pair": "eurusd"}
    mine = [t for t in Trials(noise_world.root).list(**chosen) if len(t["parameters"]["heads"]) == 3]
    assert len(mine) == 4 and max(t["times"] for t in mine) > 1, "choices count once, however often they ran"


def test_a_file_that_differs_fails(
    noise_world: Project, wanted: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted fault: a run that ends with another byte, or with an error."""
    monkeypatch.setattr(soak, "_child", lambda *_: 0)
    monkeypatch.setattr(soak, "contents", lambda root: {**wanted, "run.json": b"{}"})
    bad = soak.trial(noise_world.root, KEY, "after-fsync:1", 1, wanted)
    assert bad["problem"] == "run.json and 0 more differ" and not soak.judged([{**bad, "killed": True}])["ok"]
    monkeypatch.setattr(soak, "_child", lambda *_: 9)
    assert soak.trial(noise_world.root, KEY, "after-fsync:1", 1, wanted)["problem"] == "exit code 9"

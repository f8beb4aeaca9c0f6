"""Runs of an advanced estimator against runs of ridge and boosting: admitted only when better than both."""

from __future__ import annotations

import doctest
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forecast_tables import forecast_run

from bqx.base.errors import EstimatorError, UsageError
from bqx.build.project import Project
from bqx.cli.main import main
from bqx.research import loss_bins
from bqx.research.loss_bins import binned
from bqx.research.training.admit import admit_run
from bqx.research.training.folder import Run, head_hash, write_head


def run_of(root: Path, estimator: str, name: str | None = None, **words: Any) -> Run:
    made = forecast_run(root, name or estimator, weeks=4, **{"r2": 0.05, **words})
    head = {**made.head, "estimator": estimator}
    write_head(made.folder, {**head, "hash": head_hash(head)})
    return Run.read(made.folder)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "project"
    Project.create(path).close()
    return path


@pytest.fixture(scope="module")
def baselines(root: Path) -> list[Run]:
    """Both know a little of what can be known."""
    return [run_of(root, "ridge", quality=0.2), run_of(root, "boosting", quality=0.3)]


def test_better_than_both_is_admitted_and_kept_as_evidence(root: Path, baselines: list[Run]) -> None:
    candidate = run_of(root, "deep", quality=1.0)
    found = admit_run(candidate, baselines)
    assert found["admitted"] and found["simulated"] and found["folds"] == 4
    assert found["run_hash"] == candidate.hash
    assert json.loads((candidate.folder / "admission.json").read_text()) == found
    assert {r["hash"] for r in found["runs"].values()} == {candidate.hash, *(b.hash for b in baselines)}


def test_better_than_one_is_not_enough(root: Path, baselines: list[Run]) -> None:
    strong = run_of(root, "boosting", "strong", quality=1.0)
    found = admit_run(run_of(root, "deep", "middling", quality=0.9), [baselines[0], strong])
    assert not found["admitted"] and found["against"]["ridge"]["better"] < 0.05
    assert "not shown to be better than boosting" in found["verdict"] and "ridge (" not in found["verdict"]


def test_runs_that_cannot_be_compared(root: Path, baselines: list[Run]) -> None:
    candidate = run_of(root, "deep", "asked", quality=1.0)
    for others, says in (
        (baselines[:1], "are compared"),
        ([baselines[0], run_of(root, "boosting", "short", horizons=(15,))], "differ in horizons"),
        ([baselines[0], run_of(root, "boosting", "other", seed=1)], "other test rows"),
    ):
        with pytest.raises(UsageError, match=says):
            admit_run(candidate, others)
    with pytest.raises(UsageError, match="are compared"):
        admit_run(baselines[0], baselines)
    with pytest.raises(EstimatorError, match="late is quarantined"):
        admit_run(run_of(root, "deep", "late", state="quarantined"), baselines)


@pytest.mark.usefixtures("baselines")
def test_the_command(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_of(root, "deep", "one", quality=1.0)
    main(["-C", str(root), "runs", "admit", "one", "ridge", "boosting"])
    assert "deep is admitted" in (out := capsys.readouterr().out) and "SIMULATED" in out
    run_of(root, "deep", "two", quality=0.2)
    with pytest.raises(SystemExit) as error:
        main(["-C", str(root), "runs", "admit", "two", "ridge", "boosting", "--json"])
    assert error.value.code == 5 and json.loads(capsys.readouterr().out)["admitted"] is False


def test_bins_add_up_to_the_mean_of_means() -> None:
    assert doctest.testmod(loss_bins).failed == 0
    rng = np.random.default_rng(0)
    parts = [(np.sort(rng.integers(100, 900, n)), rng.random(n)) for n in (30, 500)]
    total = binned(parts, 100, 900, 60)
    assert total.sum() == pytest.approx(np.mean([loss.mean() for _, loss in parts])) and len(total) == 14

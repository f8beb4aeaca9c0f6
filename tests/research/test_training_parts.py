"""Masks, the law of seconds, parameters from files, the inputs of stages, and MLflow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from forecast_tables import forecast_run
from training_worlds import COLUMNS, cli, order

from bqx.base.errors import SecretError, SelectionError, TrainingError, UsageError
from bqx.build.project import Project
from bqx.cli.train import read_params
from bqx.research.artefact import Recipe, Signer, make_key, trust
from bqx.research.dataset import Dataset
from bqx.research.training.final import inputs
from bqx.research.training.law import Law, Size, law_of_runs, probe, size_of
from bqx.research.training.masks import Masks, from_names, from_selection
from bqx.research.training.order import make_order
from bqx.research.training.run import train
from bqx.research.training.settings import Settings

KEY, PUBLIC = make_key()


def selection(dataset: Dataset, name: str, taken: dict[tuple[str, int], list[int]], **changes: Any) -> None:
    """A finished selection of 30 columns, without selecting."""
    folder = dataset.project.root / "selections" / name
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {
        "dataset": dataset.name,
        "dataset_hash": dataset.hash,
        "options": {"budget": 30},
        "folds": [],
        **changes,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for (pair, fold), rows in taken.items():
        chosen = np.zeros(len(dataset.candidates), bool)
        chosen[rows] = True
        table = pl.DataFrame({"candidate": [c.name for c in dataset.candidates], "selected": chosen})
        table.write_parquet(folder / f"{pair}_{fold}.parquet")


def test_every_fold_sees_its_own_mask_and_the_last_one_makes_the_model(noise_dataset: Dataset) -> None:
    d = noise_dataset
    calm = [k for k, c in enumerate(d.candidates) if c.lag == 0 and c.warmup < 3000]
    taken = {(p, f): calm[10 * f + i : 10 * f + i + 30] for i, p in enumerate(d.pairs) for f in range(3)}
    selection(d, "masks", taken)
    masks = from_selection(d, "masks", d.pairs, [0, 1, 2])
    assert masks.numbers(["usdjpy"], 1) == tuple(taken["usdjpy", 1])
    assert masks.union(["eurusd"], [0, 2]) == tuple(sorted({*taken["eurusd", 0], *taken["eurusd", 2]}))
    together = masks.numbers(["eurusd", "usdjpy"], 0)
    assert len(together) == 30 and set(calm[1:30]) <= set(together), "what both hold is in"
    settings = Settings(estimator="ridge", heads=("point",), horizons=(15,), pairs=("eurusd",))
    run = train(make_order(d, settings, selection="masks"), "masked", signer=Signer(KEY))
    assert run.head["mask"] == {"source": "selection masks", "digest": masks_digest(d)}
    trust(d.project.root, PUBLIC, "of this test")
    assert inputs(run, d.project.root) == [d.candidates[k].name for k in taken["eurusd", 2]]
    selection(d, "masks", {("eurusd", 1): calm[:29]})
    with pytest.raises(SelectionError, match="29 columns, not 30"):
        from_selection(d, "masks", d.pairs, [1])
    selection(d, "masks", {}, dataset_hash="other")
    with pytest.raises(SelectionError, match="of dataset first as it was then"):
        from_selection(d, "masks", d.pairs, [0])


def masks_digest(dataset: Dataset) -> str:
    return from_selection(dataset, "masks", ["eurusd"], [0, 1, 2]).digest


def test_lists_of_columns_are_checked_and_change_the_digest(noise_dataset: Dataset) -> None:
    few, more = from_names(noise_dataset, COLUMNS[:3]), from_names(noise_dataset, COLUMNS[:4])
    assert few.digest != more.digest and few.digest == from_names(noise_dataset, COLUMNS[2::-1]).digest
    assert len(from_names(noise_dataset, None).common) == 2640
    with pytest.raises(UsageError, match=r"no candidate 'technical_rate\.rsi_41'"):
        from_names(noise_dataset, ["technical_rate.rsi_41"])
    for names in ([], [COLUMNS[0]] * 2):
        with pytest.raises(UsageError, match="empty or names one twice"):
            from_names(noise_dataset, names)
    with pytest.raises(UsageError, match="not both"):
        make_order(noise_dataset, Settings(), selection="masks", columns=COLUMNS)
    assert isinstance(few, Masks)


def test_the_law_recovers_what_made_the_seconds() -> None:
    truth = (0.02, 0.0, 3e-9, 2e-6)
    sizes = [Size(n, k, 80, 6.75) for n in (500, 2000, 8000) for k in (50, 250)]
    seconds = [float(np.array(truth) @ s.terms()) for s in sizes]
    law = Law.fit(sizes, seconds, "made up")
    large = Size(25_000, 250, 80, 6.75)
    assert law.seconds(large) == pytest.approx(float(np.array(truth) @ large.terms()), rel=1e-6)
    assert min(law.coefficients) >= 0.0 and law.cells == 6
    assert size_of({"heads": ["point"], "params": {}}, 10, 5) == Size(10, 5, 0.0, 2.0)


def test_a_probe_orders_sizes_and_a_project_that_has_trained_needs_none(noise_dataset: Dataset) -> None:
    law = probe(Recipe("ridge", {}, ("point",)))
    small, large = (law.seconds(Size(n, k, 0, 2.0)) for n, k in ((500, 40), (20_000, 250)))
    assert 0.0 < small < large
    assert law_of_runs([], "ridge") is None
    runs = [train(order(noise_dataset, horizons=(15, 60), density=1, pairs=("eurusd",)), "timed"),
            train(order(noise_dataset, horizons=(15, 60), density=3, pairs=("eurusd",)), "timed3")]  # fmt: skip
    found = law_of_runs(runs, "ridge")
    assert found is not None and found.cells == 12 and "12 cells" in found.source
    assert law_of_runs(runs, "boosting") is None


def test_parameters_are_read_from_json_and_toml(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"rounds": 40}')
    (tmp_path / "a.toml").write_text("rounds = 40\n")
    assert read_params(tmp_path / "a.json") == read_params(tmp_path / "a.toml") == {"rounds": 40}
    assert read_params(None) == {}
    for name, text in (("b.json", "[1]"), ("b.toml", "rounds ="), ("c.json", "{")):
        (tmp_path / name).write_text(text)
        with pytest.raises(UsageError):
            read_params(tmp_path / name)
    with pytest.raises(UsageError, match="cannot be read"):
        read_params(tmp_path / "absent.json")


def test_stages_get_the_inputs_of_a_run_and_nothing_unsigned(
    noise_world: Project, noise_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bqx.ops.stages import models

    told: dict[str, Any] = {}

    def record_model(project: Any, plan: Any, state: Any, model: str, columns: list[str]) -> dict[str, list[str]]:
        told.update(model=model, columns=columns)
        return {"2.1.1": columns}

    monkeypatch.setattr(models, "record_model", record_model)
    run = train(order(noise_dataset, folds=(0,)), "inputs", signer=Signer(KEY))
    trust(noise_world.root, PUBLIC, "of this test")
    cli(noise_world, "stage", "model", "--run", "inputs")
    assert told == {"model": f"inputs@{run.hash[:12]}", "columns": sorted(COLUMNS, key=COLUMNS.index)}
    train(order(noise_dataset, folds=(1,)), "bare")
    with pytest.raises(UsageError, match="no artefacts"):
        cli(noise_world, "stage", "model", "--run", "bare")
    with pytest.raises(UsageError, match="one of the two"):
        cli(noise_world, "stage", "model")
    with pytest.raises(SecretError, match="no key to sign with"):
        cli(noise_world, "train", "keyless", "--dataset", "first", "--estimator", "ridge")
    assert not (noise_world.root / "models" / "keyless").exists(), "nothing was begun"


def test_mlflow_holds_settings_and_figures_and_a_second_call_adds_nothing(tmp_path: Path) -> None:
    """In a process of its own: MLflow's import takes seconds and changes warnings and logging."""
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    run = forecast_run(tmp_path, weeks=1, folds=1)
    pooled = {"skill": 0.01, "low": 0.002, "high": 0.02, "p": 0.01, "n_effective": 400.0, "hit_rate": None}
    run.with_state("done", {"pooled": {"y3": None, "y4": pooled}, "scores": []})
    code = (
        "import sys; from pathlib import Path; from bqx.research.training.folder import Run\n"
        "from bqx.research.training.mlflow_sink import log_run\n"
        "from mlflow.tracking import MlflowClient\n"
        "run, uri = Run.read(Path(sys.argv[1])), sys.argv[2]\n"
        "assert log_run(run, uri) == log_run(run, uri)\n"
        "client = MlflowClient(tracking_uri=uri)\n"
        "found = client.search_runs([client.get_experiment_by_name('bqx').experiment_id])\n"
        "assert len(found) == 1, found\n"
        "data = found[0].data\n"
        "assert data.metrics['y4.pooled.skill'] == 0.01 and 'y3.pooled.skill' not in data.metrics\n"
        "assert data.params['estimator'] == 'oracle' and data.tags['bqx.run_hash'] == run.hash\n"
        "closed = run.with_state('quarantined', run.head['result'])\n"
        "from bqx.research.training.mlflow_sink import figures\n"
        "assert figures(closed) == {}\n"
    )
    words = [sys.executable, "-c", code, str(run.folder), f"sqlite:///{tmp_path}/mlflow.db"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_tracking_server_that_cannot_be_used_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the client: the run is done, and only logging it failed."""
    from bqx.research.training import mlflow_sink

    class Refused(Exception):
        pass

    class Client:
        def __init__(self, tracking_uri: str) -> None:
            raise Refused("connection refused")

    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "mlflow.exceptions", SimpleNamespace(MlflowException=Refused))
    monkeypatch.setitem(sys.modules, "mlflow.tracking", SimpleNamespace(MlflowClient=Client))
    run = forecast_run(tmp_path, weeks=1, folds=1)
    with pytest.raises(TrainingError, match="the run is done, but MLflow did not take it: connection refused"):
        mlflow_sink.log_run(run, "http://127.0.0.1:1")
    assert set(mlflow_sink.params(run)) >= {"dataset_hash", "code_version", "hash", "params", "seed"}

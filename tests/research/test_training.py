"""Training runs: what a cell forecasts, which minutes it learns from, failures, locks, and names that are taken."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_worlds import COLUMNS, cli, contents, order

from bqx.base.errors import CheckError, LeaseError, RunError, TrainingError, UsageError, WorkerMismatch
from bqx.build.engines import map_units
from bqx.build.project import Project
from bqx.build.threads import Threads
from bqx.research.artefact import Artefact, Signer, make_key
from bqx.research.dataset import Dataset
from bqx.research.estimators import forecaster
from bqx.research.target_set import target
from bqx.research.training import pool
from bqx.research.training.apart import item_of
from bqx.research.training.folder import Run, open_run
from bqx.research.training.lock import only_one
from bqx.research.training.phases import rotated, stride
from bqx.research.training.run import missing, train
from bqx.research.trials import Trials

KEY, PUBLIC = make_key()


@pytest.fixture(scope="module")
def run(noise_dataset: Dataset) -> Run:
    """All heads of a ridge at 15 and 30 bars, one thread, with artefacts."""
    asked = order(noise_dataset, horizons=(15, 30), heads=("point", "quantile", "direction"))
    return train(asked, "whole", signer=Signer(KEY))


@pytest.mark.parametrize("spacing", [1, 15, 20, 75])
def test_training_minutes_rotate_and_never_come_nearer_than_a_label(spacing: int) -> None:
    at = np.arange(12_731_040, 12_731_040 + 80 * 1440)
    rows = at[rotated(at, spacing)]
    assert np.diff(rows).min() >= spacing and len(rows) > 0.97 * len(at) / spacing
    phases = {int(p) % spacing for p in rows}
    assert len(phases) == spacing, "every phase has its days"
    again = at[5000:][rotated(at[5000:], spacing)]
    assert np.array_equal(again, rows[rows >= at[5000]]), "it does not matter where the rows begin"
    assert np.gcd(stride(spacing), spacing) == 1


def test_a_cell_forecasts_what_the_forecaster_does_by_hand(run: Run, noise_dataset: Dataset) -> None:
    """The same fold from the dataset's own samples: rows, targets, test block and ridge, put together independently."""
    d, h = noise_dataset, 15
    fold = d.splits.folds()[1]
    chosen = [c for c in d.candidates if c.name in COLUMNS]
    minutely = d.sample("eurusd", every=1, chosen=chosen)
    at = minutely.position
    Y = np.column_stack([target(f"y3_{h}_{h}").value(minutely.labels), target(f"y4_{h}").value(minutely.labels)])
    early = (at >= fold.train_start) & (at < fold.train_end) & np.isfinite(Y).all(axis=1)
    train_rows = np.flatnonzero(early & rotated(at, run.head["spacing"]["15"]))
    made = forecaster("ridge").fit(minutely.X[train_rows], Y[train_rows], at[train_rows], h, d.splits.embargo)
    test = np.flatnonzero((at >= fold.start) & (at < fold.end) & (at % 15 == 0))
    table = run.forecasts("eurusd", h).filter(fold=1)
    assert table["position"].to_list() == at[test].tolist()
    np.testing.assert_array_equal(table.select("f3", "f4").to_numpy(), made.predict(minutely.X[test]))
    for name, k in (("y3", 0), ("y4", 1)):
        np.testing.assert_array_equal(table[name].fill_null(np.nan).to_numpy(), Y[test, k])
    np.testing.assert_allclose(table["r"], table["y4"] * table["sigma"] * np.sqrt(h), rtol=1e-6)


def test_cells_on_an_engine_give_the_files_of_threads(noise_dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """As JSON there and back, as on a cluster; failures come back too, and a worker that differs is refused."""
    asked = order(noise_dataset, pairs=("eurusd",), folds=(0, 1))
    here, apart = train(asked, "here"), train(asked, "apart", engine=Threads(2))
    for folder in ("cells", "forecasts"):
        assert contents(here.folder / folder) == contents(apart.folder / folder)
    assert here.state == apart.state and len(contents(apart.folder / "cells")) == 4
    monkeypatch.setattr(pool, "fit_cell", lambda *a: (_ for _ in ()).throw(CheckError("no rows")))
    failed = train(order(noise_dataset, pairs=("eurusd",), folds=(2,)), "fails", engine=Threads(1))
    assert [f["cell"] for f in failed.head["result"]["failures"]] == ["eurusd_15_2"]
    cells = asked.groups["eurusd"]
    item = item_of(asked, cells[0], cells, 1)
    item = {**item, "root": f"{item['root']}/.", "facts": {**item["facts"], "code": "0.0+other"}}
    with pytest.raises(WorkerMismatch, match=r"code is .*, not 0\.0\+other"):
        list(map_units("threads", "bqx.research.training.apart:run", [item]))


def test_persistence_is_the_last_h_bars(run: Run, noise_world: Project) -> None:
    table = run.forecasts("eurusd", 15)
    low, high = (int(t.timestamp()) // 60 for t in (table["ts_utc"][0], table["ts_utc"][-1]))
    bars = noise_world.bars.read(["eurusd"], low - 60, high + 1)["eurusd"]
    log = dict(zip((bars["ts_utc"].dt.epoch("s") // 60).to_list(), bars["close"].log().to_list(), strict=True))
    compared = 0
    for row in table.filter(table["fold"] == 0).iter_rows(named=True):
        minute = int(row["ts_utc"].timestamp()) // 60
        if minute - 15 in log and minute in log and row["persist4"] != 0.0:
            move = 1e4 * (log[minute] - log[minute - 15]) / (row["sigma"] * np.sqrt(15))
            assert row["persist4"] == pytest.approx(move, rel=1e-3, abs=2e-3)
            compared += 1
    assert compared > 400
    assert table["clim4"].n_unique() > 100 and table["clim4"].abs().max() < 1.0


def test_noise_has_no_skill_and_the_head_says_where_everything_comes_from(run: Run, noise_dataset: Dataset) -> None:
    assert run.state == "done"
    for found in run.head["result"]["pooled"].values():
        assert found["low"] <= 0.0 and found["verdict"] == "no demonstrated skill"
    assert run.head["dataset_hash"] == noise_dataset.hash and run.simulated
    assert run.head["code_version"].startswith("0.") and run.head["versions"]["numpy"]
    assert run.head["spacing"] == {"15": 5, "30": 10}
    table = run.forecasts("usdjpy", 30)
    assert table.null_count().select("q05", "lo90", "p_up", "f3").row(0) == (0, 0, 0, 0)
    inside = ((table["y4"] >= table["lo90"]) & (table["y4"] <= table["hi90"])).mean()
    assert 0.85 < inside < 0.95


def test_every_choice_is_in_the_ledger(run: Run, noise_dataset: Dataset) -> None:
    found = Trials(noise_dataset.project.root).list(
        kind="forecast", dataset=noise_dataset.hash, feature_set=run.head["mask"]["digest"], pair="usdjpy", fold="2",
        target="y4_30",
    )  # fmt: skip
    mine = [t for t in found if len(t["parameters"]["heads"]) == 3]
    assert sorted(t["parameters"]["penalty"] for t in mine) == [0.1, 1, 10, 100]
    receipt = json.loads((run.folder / "cells" / "usdjpy_30_2" / "receipt.json").read_text())
    assert {t["digest"] for t in mine} < set(receipt["trials"]) and len(receipt["trials"]) == 8


def test_artefacts_are_signed_and_forecast_rows_before_the_seal_only(run: Run, noise_dataset: Dataset) -> None:
    made = Artefact.load(run.artefact("eurusd"), {PUBLIC})
    assert made.horizons == (15, 30) and made.manifest["run_hash"] == run.hash
    assert list(made.columns) == [c.name for c in noise_dataset.candidates if c.name in COLUMNS]
    last = noise_dataset.project.calendar.at_ordinal(noise_dataset.splits.end)
    assert made.manifest["window"]["last"] < str(np.datetime64(last, "m")) < str(np.datetime64(noise_dataset.end, "m"))
    sample = noise_dataset.sample(
        "eurusd", every=500, chosen=[c for c in noise_dataset.candidates if c.name in COLUMNS]
    )
    found = made.predict(np.asarray(sample.X))
    assert np.isfinite(found.f4).all() and found.f4.shape == (len(sample), 2)


def test_two_threads_give_the_same_bytes(run: Run, noise_dataset: Dataset) -> None:
    asked = order(noise_dataset, horizons=(15, 30), heads=("point", "quantile", "direction"))
    folder = run.folder
    before = contents(folder)
    for path in (*folder.glob("cells/eurusd_*/receipt.json"), *folder.glob("forecasts/*")):
        path.unlink()
    shutil.rmtree(folder / "cells" / "usdjpy_30_2")
    shutil.rmtree(folder / "artefacts" / "usdjpy")
    (folder / "cells" / "usdjpy_15_1" / "forecast_usdjpy.parquet").write_bytes(b"damaged")
    assert len(missing(asked, "whole")) == 8
    train(asked, "whole", signer=Signer(KEY), workers=2)
    assert contents(folder) == before


def test_one_model_for_all_pairs(noise_dataset: Dataset) -> None:
    run = train(order(noise_dataset, scope="global", folds=(0, 2)), "together", signer=Signer(KEY))
    assert run.state == "done" and run.head["result"]["cells"] == 2
    assert run.tables() == [("eurusd", 15), ("usdjpy", 15)]
    one, other = (run.forecasts(p, 15) for p in run.pairs)
    assert one["fold"].unique().to_list() == [0, 2] and not one["f4"].equals(other["f4"])
    assert Artefact.load(run.artefact("usdjpy"), {PUBLIC}).pool == ("eurusd", "usdjpy")
    with pytest.raises(UsageError, match="two or more"):
        order(noise_dataset, scope="global", pairs=("eurusd",))


def test_a_name_belongs_to_one_run_and_one_process(run: Run, noise_dataset: Dataset) -> None:
    with pytest.raises(RunError, match=r"another seed: 0, now 1"):
        train(order(noise_dataset, horizons=(15, 30), heads=("point", "quantile", "direction"), seed=1), "whole")
    with only_one(noise_dataset.project.root / "models" / "busy"), pytest.raises(LeaseError, match="process"):
        train(order(noise_dataset), "busy")
    assert train(order(noise_dataset, pairs=("eurusd",), folds=(0,)), "busy").state == "done", "and it is free again"


def test_failed_cells_are_tried_again_then_reported_and_the_quorum_decides(
    noise_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = order(noise_dataset, pairs=("eurusd",))
    tries: dict[str, int] = {}
    real = pool.fit_cell

    def fails(order: Any, cell: Any, rows: Any) -> Any:
        tries[cell.name] = tries.get(cell.name, 0) + 1
        if cell.fold == 0 and tries[cell.name] == 1:
            raise OSError("a disk hiccup")
        if cell.fold == 1:
            raise MemoryError("never enough")
        if cell.fold == 2:
            raise CheckError("no rows, and trying again will not make any")
        return real(order, cell, rows)

    monkeypatch.setattr(pool, "fit_cell", fails)
    run = train(asked, "shaky", retries=2)
    assert tries == {"eurusd_15_0": 2, "eurusd_15_1": 3, "eurusd_15_2": 1}
    assert run.state == "short"
    found = {f["cell"]: (f["attempts"], f["reason"]) for f in run.head["result"]["failures"]}
    assert found["eurusd_15_1"] == (3, "MemoryError: never enough")
    assert found["eurusd_15_2"][0] == 1 and "no rows" in found["eurusd_15_2"][1]
    assert train(asked, "shaky", quorum=0.3).state == "done", "a third is there, and a third was asked"
    monkeypatch.undo()
    again = train(asked, "shaky")
    assert again.state == "done" and again.head["result"]["done"] == 3 and not again.head["result"]["failures"]
    assert run.forecasts("eurusd", 15)["fold"].unique().to_list() == [0, 1, 2]


def test_the_command_line_trains_lists_shows_and_compares(
    run: Run, noise_world: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed, params = tmp_path / "columns.txt", tmp_path / "ridge.toml"
    listed.write_text("\n".join(COLUMNS))
    params.write_text("penalties = [1.0, 30.0]\n")
    words = ("train", "typed", "--dataset", "first", "--columns", str(listed), "--estimator", "ridge", "--params",
             str(params), "--horizons", "15", "--pairs", "EURUSD", "--folds", "0,1", "--heads", "point",
             "--no-artefacts")  # fmt: skip
    plan = cli(noise_world, *words, "--dry-run")
    assert plan["cells"] == 2 and plan["columns"] == 20 and plan["memory_bytes"] > 1e8 and plan["seconds"] > 0
    assert not (noise_world.root / "models" / "typed").exists()
    head = cli(noise_world, *words)
    assert head["state"] == "done" and head["params"] == {"penalties": [1.0, 30.0]}
    again = cli(noise_world, *words, "--dry-run")
    assert again["cells"] == 0 and again["seconds"] == 0.0 and "nothing" in again["law"]
    receipts = [json.loads(p.read_text()) for p in open_run(noise_world, "typed").folder.glob("cells/*/receipt.json")]
    assert plan["rows"] == pytest.approx(max(r["rows"] for r in receipts), rel=0.05)
    assert {"typed", "whole"} <= {r["name"] for r in cli(noise_world, "runs", "list")}
    assert cli(noise_world, "runs", "show", "whole")["artefacts"] == ["eurusd", "usdjpy"]
    compared = {r["what"]: r["values"] for r in cli(noise_world, "runs", "compare", "typed", "whole")}
    assert compared["pairs"] == [["eurusd"], ["eurusd", "usdjpy"]] and "estimator" not in compared
    monkeypatch.setattr(pool, "fit_cell", lambda *a: (_ for _ in ()).throw(CheckError("no")))
    with pytest.raises(TrainingError, match="0 of 1 cells are done: eurusd_15_2: BQX301 no"):
        cli(noise_world, "train", "short", *words[2:-5], "--folds", "2", *words[-3:])


def test_what_cannot_be_is_said_before_anything_is_read(noise_dataset: Dataset) -> None:
    for wrong, words in (
        ({"estimator": "oracle"}, "oracle"),
        ({"params": {"leaves": 3}}, "leaves"),
        ({"heads": ("quantile",)}, "point head"),
        ({"horizons": (7,)}, "no horizon 7"),
        ({"folds": (9,)}, "no fold 9"),
        ({"pairs": ("gbpusd",)}, "no pair 'gbpusd'"),
        ({"density": 4}, "does not divide"),
    ):
        with pytest.raises(UsageError, match=words):
            order(noise_dataset, **wrong)

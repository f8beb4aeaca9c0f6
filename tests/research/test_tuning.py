"""Tuning sees its training window alone, goes on to the bit, counts every trial, and finds what there is to find."""

from __future__ import annotations

import doctest
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_rows import curved

from bqx.base.errors import TuningError, UsageError
from bqx.cli.main import main
from bqx.research.dataset import Dataset
from bqx.research.estimators.ridge_forecast import RidgeForecast
from bqx.research.target_set import target
from bqx.research.training.order import make_order
from bqx.research.training.settings import Settings
from bqx.research.trials import Trials
from bqx.research.tuning import inner, params_of, tune
from bqx.research.tuning.inner import Problem, inner_folds, read_problem
from bqx.research.tuning.run import head_of, judge, one_fold, todo
from bqx.research.tuning.space import Axis, space_of
from bqx.research.tuning.study import Study

COLUMNS = [f"returns_std_rate.{c}" for c in ("retz_1", "retz_5", "retz_15", "retz_60")]


def studied(folder: Path, problem: Problem, trials: int, workers: int = 1) -> tuple[Study, dict[str, Any]]:
    study = Study(folder, problem, space_of(problem.estimator), 3)
    with ThreadPoolExecutor(workers) as pool:
        while len(study.done) < trials:
            study.keep(study.step(pool))
        return study, judge(problem, study, pool, take_best=False)


def test_inner_folds_are_purged_and_inside_the_window() -> None:
    assert doctest.testmod(inner).failed == 0
    folds = inner_folds(1000, 41_000, 4, 75, 1440)
    assert folds[-1].end == 41_000 and all(f.learn_end + 75 + 1440 == f.start for f in folds)
    assert [b.start for b in folds[1:]] == [a.end for a in folds[:-1]]
    for count, end in ((1, 41_000), (4, 12_000)):
        with pytest.raises(TuningError):
            inner_folds(1000, end, count, 75, 1440)


def test_what_can_be_tuned_is_found_and_confirmed_on_a_fold_it_was_not_chosen_on(tmp_path: Path) -> None:
    study, result = studied(tmp_path, curved(0.8), 14)
    assert result["better"] and result["p_better"] < 0.05 and "is better than the default" in result["verdict"]
    assert result["params"] == result["best"]["params"] != result["default"]["params"]
    assert result["best"]["confirmed"] < result["default"]["confirmed"] - 0.02
    assert result["default"]["trial"] == 0 and result["default"]["params"]["rounds"] == 80
    assert result["pruned"] == sum(t.pruned for t in study.done) > 0
    assert all(len(t.losses) == 1 for t in study.done if t.pruned)


def test_on_noise_the_default_is_kept_and_the_result_says_so(tmp_path: Path) -> None:
    _, result = studied(tmp_path, curved(0.0), 10)
    assert not result["better"] and result["params"] == result["default"]["params"]
    assert "not shown to be better" in result["verdict"] or "no set tried" in result["verdict"]


def test_an_interrupted_study_goes_on_to_the_same_bits_on_any_number_of_threads(tmp_path: Path) -> None:
    problem = curved(0.8, n=1500)
    whole, _ = studied(tmp_path / "a", problem, 11)
    studied(tmp_path / "b", problem, 5)
    (tmp_path / "b" / "trials" / ".0005.json.tmp-1-0").write_text("{half")
    parts, _ = studied(tmp_path / "b", problem, 11, workers=2)
    assert parts.done == whole.done and len({str(t.params) for t in whole.done}) == 11
    other = Study(tmp_path / "c", problem, space_of("boosting"), 4)
    with ThreadPoolExecutor(1) as pool:
        other.keep(other.step(pool))
        assert other.step(pool).params != whole.done[1].params, "the seed is another"
    (tmp_path / "a" / "trials" / "0002.json").write_text("{half")
    with pytest.raises(TuningError, match=r"0002\.json"):
        Study(tmp_path / "a", problem, space_of("boosting"), 3)


def test_spaces_fit_their_estimators() -> None:
    for name in ("ridge", "boosting", "xgboost"):
        assert space_of(name)
    assert space_of("ridge")["penalties"].value(2.5) == [2.5] and space_of("xgboost")["rounds"].value(80.0) == 80
    with pytest.raises(TuningError, match="nothing to tune"):
        space_of("random_walk")


def test_a_plug_in_declares_its_space(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(RidgeForecast):
        space = {"penalties": Axis(0.1, 1.0, listed=True)}

    class Wrong(RidgeForecast):
        space = {"depth": Axis(1, 2)}

    monkeypatch.setattr("bqx.research.tuning.space.SPACES", {})
    for kind, ok in ((Mine, True), (Wrong, False)):
        monkeypatch.setattr("bqx.research.tuning.space.estimator_class", lambda _, k=kind: k)
        if ok:
            assert space_of("ridge") == Mine.space
        else:
            with pytest.raises(TuningError, match="no parameter"):
                space_of("ridge")


def order_of(dataset: Dataset, **more: Any) -> Any:
    words: dict[str, Any] = {"estimator": "ridge", "heads": ("point",), "horizons": (15,), "folds": (0,), **more}
    return make_order(dataset, Settings(**words), columns=COLUMNS)


def test_only_the_training_window_is_read(noise_dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Positions of every row, and labels of every row, end before the fold's test block; values are the dataset's."""
    order = order_of(noise_dataset)
    fold = one_fold(order)
    asked: list[Mapping[str, Any]] = []
    real = Dataset.sample

    def spy(self: Dataset, pair: str, **words: Any) -> Any:
        asked.append(words)
        return real(self, pair, **words)

    monkeypatch.setattr(Dataset, "sample", spy)
    problem = read_problem(order, fold, 2)
    assert [a["span"] for a in asked] == [(fold.train_start, fold.train_end)] * 2 and "release" not in asked[0]
    for (pair, h), rows in problem.rows.items():
        assert rows.position.min() >= fold.train_start and rows.position.max() + h < fold.start
        labels = noise_dataset.labels(pair)
        at = np.searchsorted(labels.position, rows.position)
        np.testing.assert_array_equal(rows.y4[h], target(f"y4_{h}").value(labels)[at])
    assert problem.folds[-1].end == fold.train_end < fold.start


def test_a_study_of_a_dataset(noise_dataset: Dataset) -> None:
    """Ledger, result file, resume, and refusal of another dataset's, estimator's or later fold's parameters."""
    order = order_of(noise_dataset)
    root = noise_dataset.project.root
    before = Trials(root).count(kind="tuning")
    assert todo(order, "one", 4, 2)["fits"] == 4 * 2 and not (root / "tuning" / "one").exists()
    first = tune(order, "one", trials=3, inner=2)
    found = tune(order, "one", trials=4, inner=2, workers=2)
    rows = Trials(root).list(kind="tuning")
    assert len(rows) - before == 4 and all(r["times"] == 1 and r["score"] > 0 for r in rows)
    assert {json.dumps(r["parameters"]["penalties"]) for r in rows} >= {
        json.dumps(first["best"]["params"]["penalties"])
    }
    assert first["default"] == found["default"] and found["trials"] == 4 and found["simulated"]
    path = root / "tuning" / "one" / "result.json"
    words = {"estimator": "ridge", "dataset_hash": noise_dataset.hash, "folds": [0, 1]}
    assert params_of(found, "file", **words) == found["params"] == json.loads(path.read_text())["params"]
    assert params_of({"rounds": 30}, "file", **words) == {"rounds": 30}
    best = tune(order, "one", trials=4, inner=2, take_best=True)
    assert best["params"] == best["best"]["params"]
    for other, says in (
        ({"estimator": "boosting"}, "for ridge, not for boosting"),
        ({"dataset_hash": "x"}, "not on this one"),
    ):
        with pytest.raises(TuningError, match=says):
            params_of(found, "file", **{**words, **other})
    with pytest.raises(TuningError, match="holds the test block of fold 0"):
        params_of({**found, "fold": 1}, "file", **words)
    with pytest.raises(TuningError, match="format 9"):
        params_of({**found, "format": 9}, "file", **words)
    with pytest.raises(TuningError, match="other options"):
        tune(order_of(noise_dataset, seed=1), "one", trials=4, inner=2)
    with pytest.raises(UsageError, match="takes one fold"):
        head_of(order_of(noise_dataset, folds=(0, 1)), one_fold(order_of(noise_dataset, folds=(0, 1))), 2)


def test_the_command_and_train_that_takes_its_result(
    noise_dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = noise_dataset.project.root
    (tmp_path / "columns.txt").write_text("\n".join(COLUMNS) + "\n")
    words = [
        "--dataset",
        "first",
        "--columns",
        str(tmp_path / "columns.txt"),
        "--horizons",
        "15",
        "--estimator",
        "ridge",
    ]
    tuning = ["-C", str(root), "tune", "two", *words, "--inner", "2", "--trials", "3"]
    main([*tuning, "--dry-run"])
    assert "0 of 3 trials are done; at most 6 fits" in capsys.readouterr().out
    main(tuning)
    out = capsys.readouterr()
    assert "SIMULATED" in out.out and "trial 3 of 3" in out.err and "1 is no skill" in out.out
    main([*tuning, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["trials"] == 3 and Path(found["file"]).is_file()
    training = ["-C", str(root), "train", "unused", *words, "--params", found["file"], "--dry-run", "--json"]
    main([*training, "--folds", "0"])
    capsys.readouterr()
    with pytest.raises(SystemExit) as error:
        main(["boosting" if w == "ridge" else w for w in training])
    assert error.value.code == 6 and "BQX823" in capsys.readouterr().err

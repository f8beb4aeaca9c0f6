"""Entry points on a folder in place of /opt/ml: what they make, and what they leave when they fail."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result
from container_market import COLUMNS, Market, write

from bqx.base.errors import ArtefactError, DatasetError
from bqx.build.project import Project
from bqx.ops.container.__main__ import main
from bqx.ops.container.candidate_files import check_candidates
from bqx.ops.container.layout import Layout
from bqx.ops.container.serve import container_server, healthy
from bqx.ops.container.train import METRICS
from bqx.research.artefact import Artefact
from bqx.research.dataset import Dataset

sys.path.insert(0, str(Path(__file__).parents[2] / "research"))
Job = Callable[..., Path]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, market: Market) -> Callable[..., Result]:
    """call(root, "train", ...) as the container would; SystemExit becomes the exit code."""

    def run(root: Path, *words: str, **environment: str) -> Result:
        for name, value in {**market.environment(root), **environment}.items():
            monkeypatch.setenv(name, value)
        return CliRunner().invoke(main, list(words))

    return run


@pytest.fixture(scope="module")
def trained(market: Market, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    root = market.job(tmp_path_factory.mktemp("job") / "ml")
    before = listing(market.root)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in market.environment(root).items():
            patch.setenv(name, value)
        done = CliRunner().invoke(main, ["train"])
    assert listing(market.root) == before, "the channel is only read"
    return root, done


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    return {p.relative_to(folder).as_posix(): (p.stat().st_size, p.stat().st_mtime_ns) for p in folder.rglob("*")}


def test_train_leaves_a_signed_model_its_card_and_figures(trained: tuple[Path, Result], market: Market) -> None:
    root, done = trained
    assert done.exit_code == 0, done.output
    made = Artefact.load(root / "model" / "eurusd", frozenset({market.public}))
    card = json.loads((root / "model" / "bqx.json").read_text())
    assert card["digest"] == made.digest and card["simulated"] and card["run"] == "first-eurusd"
    assert set(made.columns) == set(COLUMNS) and made.horizons == (15,)
    head = json.loads((root / "output" / "data" / "first-eurusd" / "run.json").read_text())
    figures = {n: float(m[1]) for n, pattern in METRICS.items() if (m := re.search(pattern, done.output))}
    assert set(figures) == set(METRICS)
    assert figures["skill"] == pytest.approx(head["result"]["pooled"]["y4"]["skill"])
    assert figures["cells_done"] == head["result"]["cells"]
    assert not (root / "output" / "failure").exists()
    with pytest.raises(ArtefactError, match="not trusted"):
        Artefact.load(root / "model" / "eurusd", frozenset({"A" * 43 + "="}))


@pytest.fixture(scope="module")
def rows(market: Market, trained: tuple[Path, Result]) -> tuple[Artefact, Any]:
    """The trained model, and 40 rows in its order."""
    made = Artefact.load(trained[0] / "model" / "eurusd", frozenset({market.public}))
    project = Project.open(market.root)
    dataset = Dataset.open(project, "first")
    at = {c.name: c for c in dataset.candidates}
    sample = dataset.sample("eurusd", every=601, chosen=[at[n] for n in made.columns])
    project.close()
    return made, sample.X[:40]


def body(model: Artefact, X: Any, **more: Any) -> dict[str, Any]:
    instances = [[None if np.isnan(v) else float(v) for v in row] for row in X]
    return {"columns": list(model.columns), "instances": instances, **more}


def equal(answer: dict[str, Any], model: Artefact, X: Any) -> bool:
    """Every number of the answer is the offline prediction, to the bit."""
    said = model.predict(np.asarray(X, dtype=np.float32))
    rows = answer["predictions"]
    for name in ("f3", "f4"):
        got = np.array([row[name] for row in rows], dtype=np.float64)
        if got.tobytes() != np.asarray(getattr(said, name), dtype=np.float64).tobytes():
            return False
    return len(rows) == len(X)


@pytest.fixture(scope="module")
def client(trained: tuple[Path, Result], market: Market) -> Iterator[httpx.Client]:
    layout = Layout(trained[0])
    with container_server(layout, frozenset({market.public}), host="127.0.0.1", port=0) as server:
        server.start()
        with httpx.Client(base_url=server.url, timeout=30) as found:
            yield found


def test_the_server_answers_what_is_predicted_offline(client: httpx.Client, rows: tuple[Artefact, Any]) -> None:
    model, X = rows
    assert client.get("/ping").status_code == 200 and healthy(client.base_url.port or 0)
    answer = client.post("/invocations", json=body(model, X, pair="eurusd"))
    assert answer.status_code == 200 and equal(answer.json(), model, X)
    assert not equal(answer.json(), model, X[::-1]), "the comparison can fail"
    lines = "\n".join(
        [",".join(model.columns), *(",".join("" if np.isnan(v) else repr(float(v)) for v in r) for r in X)]
    )
    answer = client.post("/invocations", content=lines, headers={"content-type": "text/csv"})
    assert equal(answer.json(), model, X), "the only model needs no name"
    assert client.post("/invocations", json=body(model, X, pair="usdjpy")).status_code == 404
    assert client.post("/predict", json={"pair": "eurusd"}).status_code == 401, "a container has no keys and no store"


def test_a_server_loads_nothing_it_cannot_trust(trained: tuple[Path, Result], call: Any, tmp_path: Path) -> None:
    root = tmp_path / "ml"
    shutil.copytree(trained[0] / "model", root / "model")
    done = call(root, "serve", "--port", "0", BQX_TRUSTED_KEYS="")
    assert done.exit_code == 3 and "no key is trusted" in (root / "output" / "failure").read_text()
    done = call(root, "serve", "--port", "0", BQX_TRUSTED_KEYS="A" * 43 + "=")
    assert done.exit_code == 6 and "BQX821" in (root / "output" / "failure").read_text()
    assert not healthy(1), "nothing answers there"


def test_a_multi_model_endpoint_loads_invokes_and_unloads(
    trained: tuple[Path, Result], market: Market, rows: tuple[Artefact, Any], tmp_path: Path
) -> None:
    model, X = rows
    root = tmp_path / "ml"
    place = root / "models" / "h1" / "model"
    shutil.copytree(trained[0] / "model", place)
    shutil.copytree(trained[0] / "model", tmp_path / "elsewhere")
    (root / "models" / "empty").mkdir()
    with container_server(Layout(root), frozenset({market.public}), host="127.0.0.1", port=0, multi=True) as server:
        server.start()
        with httpx.Client(base_url=server.url, timeout=30) as client:
            assert client.get("/ping").status_code == 200 and client.get("/models").json() == {"models": []}
            assert client.post("/models/h1/invoke", json=body(model, X)).status_code == 404
            load = {"model_name": "h1", "url": str(place)}
            assert client.post("/models", json=load).status_code == 200
            assert client.post("/models", json=load).status_code == 409
            for url in (tmp_path / "elsewhere", root / "models" / ".." / ".." / "elsewhere", root / "models" / "empty"):
                assert client.post("/models", json={"model_name": "h2", "url": str(url)}).status_code == 400
            for bad in (b"{", b"[]", b'{"model_name": "../x", "url": "/x"}', b" " * 70_000):
                assert client.post("/models", content=bad).status_code == 400
            said = {"modelName": "h1", "modelUrl": str(place)}
            assert client.get("/models").json() == {"models": [said]} and client.get("/models/h1").json() == said
            answer = client.post(
                "/models/h1/invoke", json=body(model, X), headers={"x-amzn-sagemaker-target-model": "other.tar.gz"}
            )
            assert answer.status_code == 200 and equal(answer.json(), model, X)
            assert client.delete("/models/h1").status_code == 200 and client.delete("/models/h1").status_code == 404
            assert client.put("/models").status_code == 405


@pytest.mark.parametrize(
    ("hyper", "code", "words"),
    [
        ({"pair": "eurxxx"}, 2, "eurxxx"),
        ({"pair": ""}, 3, "'pair' is missing"),
        ({"estimatr": "ridge"}, 3, "did you mean estimator"),
        ({"horizons": "15,x"}, 3, "horizons is '15,x'"),
        ({"every": "0"}, 3, "every is '0'"),
        ({"dataset": "second"}, 2, "no dataset 'second'"),
        ({"selection": "none", "columns": ""}, 2, "none"),
        ({"estimator": "magic"}, 2, "magic"),
        ({"param.nonsense": "1"}, 2, "nonsense"),
    ],
)
def test_a_job_that_cannot_be_says_why(
    hyper: dict[str, str], code: int, words: str, call: Any, market: Market, tmp_path: Path
) -> None:
    root = market.job(tmp_path / "ml", **hyper)
    done = call(root, "train")
    reason = (root / "output" / "failure").read_text()
    assert (done.exit_code, words in reason) == (code, True), reason
    assert len(reason) <= 1024 and not list((root / "model").iterdir())


def test_inputs_of_a_job_that_are_wrong(call: Any, market: Market, tmp_path: Path) -> None:
    root = market.job(tmp_path / "ml")
    failure = root / "output" / "failure"

    def fails(words: str, **environment: str) -> bool:
        done = call(root, "train", **environment)
        return done.exit_code not in (0, 70) and words in failure.read_text()

    assert fails("BQX601", BQX_SECRETS_PATH=str(tmp_path / "nowhere"))
    write(root, "resourceconfig.json", {"hosts": ["algo-1", "algo-2"]})
    assert fails("2 hosts")
    write(root, "resourceconfig.json", {"hosts": ["algo-1"]})
    write(root, "inputdataconfig.json", {"project": {"TrainingInputMode": "Pipe"}})
    assert fails("comes as Pipe")
    (root / "input" / "config" / "hyperparameters.json").write_text("{")
    assert fails("cannot be read as JSON")
    write(root, "hyperparameters.json", {"pair": "eurusd", "dataset": "first"})
    (root / "input" / "data" / "project").unlink()
    assert fails("'project' is absent")
    assert not list((root / "model").iterdir())


def test_a_reason_that_cannot_be_left_is_in_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from bqx.base.errors import UsageError
    from bqx.ops.container.job import run_job

    (tmp_path / "output").write_text("a file where a folder should be")

    def work() -> None:
        raise UsageError("this cannot be")

    assert run_job(work, tmp_path / "output" / "failure") == 2
    said = capsys.readouterr().err
    assert "BQX002 this cannot be" in said and "cannot be left" in said

    canary = "AKIA" + "QWERTYUIOP" + "123456"

    def worse() -> None:
        raise ZeroDivisionError(canary)

    assert run_job(worse, tmp_path / "failure") == 70
    reason = (tmp_path / "failure").read_text()
    assert reason.startswith("internal error ") and "ZeroDivisionError" in reason
    assert canary not in reason + capsys.readouterr().err


def test_sigterm_keeps_what_is_done_and_the_job_goes_on(
    call: Any, market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real signal after the first cell; the next start trains only what is missing."""
    from bqx.ops.container import __main__ as entry

    root = market.job(tmp_path / "ml")
    (root / "checkpoints").mkdir()
    said: list[str] = []

    def stop(text: str) -> None:
        said.append(text)
        if len(said) == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(entry, "_say", stop)
        done = call(root, "train")
    assert done.exit_code == 143 and "SIGTERM" in (root / "output" / "failure").read_text()
    assert not list((root / "model").iterdir())
    kept = {p: p.stat().st_mtime_ns for p in (root / "checkpoints").rglob("receipt.json")}
    assert kept
    assert call(root, "train").exit_code == 0
    assert (root / "model" / "eurusd" / "manifest.sig").is_file() and not (root / "output" / "failure").exists()
    assert {p: p.stat().st_mtime_ns for p in kept} == kept, "what was done was not done again"
    assert len(list((root / "checkpoints").rglob("receipt.json"))) > len(kept)


def test_a_run_too_good_to_be_true_leaves_no_model(
    call: Any, market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training_worlds import next_bar, plant

    project = Project.open(market.root)
    plant(monkeypatch, next_bar(project, "eurusd"))
    root = market.job(tmp_path / "ml")
    done = call(root, "train")
    project.close()
    assert done.exit_code == 5 and "BQX826" in (root / "output" / "failure").read_text()
    assert not list((root / "model").iterdir()) and "name=skill " not in done.output


def test_the_signing_key_is_nowhere_but_with_the_provider(
    trained: tuple[Path, Result], market: Market, call: Any, tmp_path: Path
) -> None:
    """Files of the job, its output, and a failure that quotes what it was given."""
    root, done = trained
    secret = market.private.encode()
    for path in (p for p in root.rglob("*") if p.is_file()):
        assert secret not in path.read_bytes(), path
    assert market.private not in done.output + (done.stderr or "")
    canary = "AKIA" + "QWERTYUIOP" + "123456"
    other = market.job(tmp_path / "ml", estimator=canary)
    done = call(other, "train")
    assert done.exit_code == 2 and canary not in (other / "output" / "failure").read_text() + done.output
    assert "BQX" in (other / "output" / "failure").read_text()


def test_the_run_comes_home_and_the_plan_sees_it(trained: tuple[Path, Result], market: Market, tmp_path: Path) -> None:
    """What a job left in output/data is a run of the project; its checks hold, and no longer when a byte differs."""
    from bqx.ops.stages.task_checks import changed, task_check
    from bqx.research.artefact import trust
    from bqx.research.leakage.record import record
    from bqx.research.leakage.result import LeakResult

    root = tmp_path / "home"
    shutil.copytree(market.root, root, ignore=shutil.ignore_patterns("lake", "bars"))
    for name in ("lake", "bars"):
        (root / name).symlink_to(market.root / name)
    project = Project.open(root)

    def ok(name: str) -> bool:
        return all(c.ok for c in task_check(project, name, "")[0])

    assert not any(ok(name) for name in ("dataset", "selection", "run", "artefacts", "traceable", "tuned"))
    shutil.copytree(trained[0] / "output" / "data" / "first-eurusd", root / "models" / "first-eurusd")
    assert ok("run") and not ok("artefacts"), "the key is not trusted here yet"
    trust(root, market.public, "the job's")
    assert ok("artefacts") and not ok("evaluated") and not ok("registered")
    shutil.copyfile(trained[0] / "output" / "data" / "research.sqlite", root / "research.sqlite")
    assert ok("traceable")
    dataset = Dataset.open(project, "first")
    results = [LeakResult(f"L{k}", "made", 1000, 0, "made up") for k in range(1, 14)]
    record(dataset.folder, dataset.hash, "eurusd", results)
    checks, rests = task_check(project, "dataset", "")
    assert [c.observed for c in checks] == [13, 2640] and changed(project, rests) is None
    record(dataset.folder, dataset.hash, "eurusd", [*results[:-1], LeakResult("L13", "made", 1000, 1, "a leak")])
    assert not ok("dataset") and "leakage.json is another" in str(changed(project, rests))
    _, rests = task_check(project, "artefacts", "")
    manifest = root / "models" / "first-eurusd" / "artefacts" / "eurusd" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes() + b" ")
    assert not ok("artefacts") and changed(project, rests)
    project.close()


@pytest.fixture(scope="module")
def processed(market: Market, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """The dataset of a project that was built elsewhere, every 601st bar."""
    root = tmp_path_factory.mktemp("processing")
    (root / "processing" / "input").mkdir(parents=True)
    (root / "processing" / "input" / "project").symlink_to(market.root)
    words = ["processing", "--root", str(root), "--dataset", "first", "--every", "601", "--as-built", "--no-leakage"]
    return root, CliRunner().invoke(main, words)


def test_processing_writes_all_candidates_and_asserts_their_counts(processed: tuple[Path, Result]) -> None:
    root, done = processed
    assert done.exit_code == 0, done.output
    folder = root / "processing" / "output" / "candidates"
    data = check_candidates(folder)
    assert data["candidates"] == 2640 and data["domains"]["rate"] >= 100 and data["domains"]["bqx"] >= 100
    assert sum(data["domains"].values()) == 2640 and data["simulated"]
    whole = pl.concat([pl.read_parquet(folder / f["path"]) for f in data["files"]])
    assert whole.shape == (data["rows"], 2641) and sum(whole.null_count().row(0)) == data["nulls"]
    project = Project.open(root / "processing" / "output" / "project")
    dataset = Dataset.open(project, "first")
    sample = dataset.sample("eurusd", every=601, chosen=dataset.candidates[::40])
    project.close()
    np.testing.assert_array_equal(whole.drop("ts_utc").to_numpy()[:, ::40], sample.X)
    minutes = whole["ts_utc"].to_physical().to_numpy() // 60_000_000
    assert minutes.max() < dataset.sealed_from <= dataset.end - 7000, "nothing sealed leaves the dataset"


def test_candidates_that_were_touched_are_found_and_made_again(processed: tuple[Path, Result], tmp_path: Path) -> None:
    shutil.copytree(processed[0] / "processing", tmp_path / "processing")
    folder = tmp_path / "processing" / "output" / "candidates"
    files = sorted(folder.rglob("*.parquet"))
    before = {p: p.stat().st_mtime_ns for p in files}
    frame = pl.read_parquet(files[0])
    name = next(n for n in frame.columns[1:] if 0 < frame[n].null_count() < len(frame))
    frame.with_columns(pl.col(name).fill_null(0.0)).write_parquet(files[0])
    with pytest.raises(DatasetError, match="is not the file that was written"):
        check_candidates(folder)
    files[1].unlink()
    with pytest.raises(DatasetError, match="is absent"):
        check_candidates(folder)
    words = [
        "processing",
        "--root",
        str(tmp_path),
        "--dataset",
        "first",
        "--every",
        "601",
        "--as-built",
        "--no-leakage",
    ]
    assert CliRunner().invoke(main, words).exit_code == 0
    check_candidates(folder)
    assert pl.read_parquet(files[0])[name].null_count() > 0
    assert files[2].stat().st_mtime_ns == before[files[2]], "what was whole was left alone"


def test_processing_that_cannot_be_says_why(tmp_path: Path, market: Market) -> None:
    done = CliRunner().invoke(main, ["processing", "--root", str(tmp_path)])
    assert done.exit_code == 3 and "neither a project nor bars" in (tmp_path / "output" / "message").read_text()
    (tmp_path / "processing" / "input" / "bars").mkdir(parents=True)
    done = CliRunner().invoke(main, ["processing", "--root", str(tmp_path), "--pairs", "eurusd"])
    assert done.exit_code not in (0, 70) and (tmp_path / "output" / "message").read_text().startswith("BQX")
    done = CliRunner().invoke(main, ["train", "--root", str(tmp_path / "nowhere")])
    assert done.exit_code != 0 and "does not exist" in str(done.exception)

"""Do what the Containerfiles say, without a container engine, and run the three images' entry points for real.

Each context is written, its Containerfile replayed step by step (a folder in place of /opt/bqx, users and groups left
out), and the venv's own interpreter then processes simulated bars, trains a pair and answers /invocations.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.soak.state import State
from bqx.build.project import Project
from bqx.market.calendar import Calendar, month_span
from bqx.market.simulated import simulate, simulated_source
from bqx.ops.container.containerfile import Instruction, parse
from bqx.ops.container.context import KINDS, check_context, write_context
from bqx.research.artefact import SIGNING_KEY, Artefact, make_key
from bqx.research.candidates import candidates
from bqx.research.dataset import Dataset

ROOT = Path(__file__).parents[2]
PAIRS = ("eurusd", "gbpusd", "eurgbp")
NOT_HERE = ("groupadd", "useradd", "chown")
"""Of RUN steps: they would change this machine's users."""
DIGEST = "base@sha256:" + "0" * 64
COLUMNS = [c.name for c in candidates() if c.lag == 0 and c.warmup < 3000][:400:10]


def replayed(text: str, folder: Path) -> Iterator[tuple[Instruction, str, dict[str, str]]]:
    """RUN steps of a Containerfile as shell lines here, with the environment they have; those of NOT_HERE left out.

    folder : stands for /; the context is copied to folder/build.
    """
    environment: dict[str, str] = {}
    for step in parse(text):
        if step.word == "ENV":
            for name, value in re.findall(r'(\w+)="([^"]*)"', step.value):
                environment[name] = _here(value, folder)
        elif step.word == "RUN" and not any(word in step.value.split() for word in NOT_HERE):
            yield step, _here(step.value, folder), dict(environment)


def _here(text: str, folder: Path) -> str:
    for place in ("/opt/bqx", "/opt/ml", "/var/cache/bqx"):
        text = text.replace(place, f"{folder}{place}")
    return text


def build(kind: str, folder: Path) -> dict[str, Any]:
    """Write the context of an image and replay its Containerfile; steps, seconds, and the venv's interpreter."""
    context = folder / "context"
    write_context(kind, ROOT, context)
    check_context(context)
    shutil.copytree(context, folder / "build")
    for place in ("opt/ml", "var/cache/bqx"):
        (folder / place).mkdir(parents=True)
    began, steps = time.perf_counter(), 0
    for step, line, environment in replayed((context / "Containerfile").read_text("utf-8"), folder):
        done = subprocess.run(
            ["sh", "-c", line], cwd=folder / "build", env=bare(environment, folder), capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"line {step.line} of {kind}: {done.stderr[-1500:] or done.stdout[-1500:]}")
        steps += 1
    return {"kind": kind, "steps": steps, "seconds": round(time.perf_counter() - began, 1)}


def bare(environment: dict[str, str], folder: Path) -> dict[str, str]:
    """What a step sees: this machine's way to the package index, nothing of this checkout."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BQX_", "PYTHON", "NUMBA_", "VIRTUAL_"))}
    path = environment.get("PATH", "$PATH").replace("$PATH", os.environ["PATH"])
    return {**kept, "BASE_IMAGE": DIGEST, "HOME": str(folder), **environment, "PATH": path}


def python_of(folder: Path) -> tuple[str, dict[str, str]]:
    """The image's interpreter, and the environment its containers have."""
    text = (folder / "context" / "Containerfile").read_text("utf-8")
    given = [pair for s in parse(text) if s.word == "ENV" for pair in re.findall(r'(\w+)="([^"]*)"', s.value)]
    environment = {name: _here(value, folder) for name, value in given}
    return f"{folder}/opt/bqx/bin/python", bare(environment, folder)


def market(root: Path, weeks: int, seed: int) -> None:
    """A project with simulated bars of three pairs and nothing built."""
    calendar = Calendar.load()
    start = calendar.week_start(month_span("2024_02")[0])
    end = calendar.at_ordinal(calendar.ordinal(start) + weeks * 7200 - 1) + 1
    project = Project.create(root, pairs=PAIRS)
    for pair, frame in simulate(calendar, start, end, seed=seed, pairs=PAIRS, origin_minute=start).items():
        project.bars.ingest(pair, frame, simulated_source(seed, origin_minute=start))
    project.close()


def flow(folders: dict[str, Path], work: Path, weeks: int, seed: int) -> dict[str, Any]:
    """Bars -> processing -> training -> inference, each by its image's interpreter; what differs from offline."""
    key, public = make_key()
    (work / "secrets").mkdir(parents=True)
    (work / "secrets" / SIGNING_KEY).write_text(key.reveal())
    (work / "secrets" / SIGNING_KEY).chmod(0o600)
    processing, training, inference = (work / kind for kind in KINDS)
    market(processing / "processing" / "input" / "project", weeks, seed)
    times = {}
    times["processing"] = job(
        folders["processing"], ["processing", "--root", str(processing), "--dataset", "first", "--every", "15"], {}
    )
    manifest = json.loads((processing / "processing" / "output" / "candidates" / "manifest.json").read_text("utf-8"))
    (training / "input" / "config").mkdir(parents=True)
    (training / "input" / "data").mkdir()
    (training / "input" / "data" / "project").symlink_to(processing / "processing" / "output" / "project")
    hyper = {"pair": PAIRS[0], "dataset": "first", "columns": ",".join(COLUMNS), "horizons": "15,60", "workers": "2"}
    (training / "input" / "config" / "hyperparameters.json").write_text(json.dumps(hyper))
    secrets = {"BQX_SECRETS_PROVIDER": "file", "BQX_SECRETS_PATH": str(work / "secrets")}
    times["training"] = job(folders["training"], ["train", "--root", str(training)], secrets)
    shutil.copytree(training / "model", inference / "model")
    model = Artefact.load(training / "model" / PAIRS[0], frozenset({public}))
    X = rows(processing / "processing" / "output" / "project", model)
    began = time.perf_counter()
    with served(folders["inference"], inference, public) as url:
        times["inference until /ping"] = round(time.perf_counter() - began, 2)
        answer = ask(url, model, X)
    said = model.predict(X)
    got = {name: np.array([r[name] for r in answer["predictions"]]) for name in ("f3", "f4", "lo80", "hi80", "p_up")}
    wide = {name: np.asarray(getattr(said, name), np.float64) for name in got}
    differ = [name for name, v in got.items() if v.astype(np.float64).tobytes() != wide[name].tobytes()]
    return {"rows_exported": manifest["rows"], "candidates": manifest["candidates"], "domains": manifest["domains"],
            "answers": len(X), "differ": differ, "seconds": times}  # fmt: skip


def job(folder: Path, words: list[str], more: dict[str, str]) -> float:
    python, environment = python_of(folder)
    began = time.perf_counter()
    done = subprocess.run(
        [python, "-m", "bqx.ops.container", *words], env={**environment, **more}, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{words[0]} ended with {done.returncode}: {done.stderr[-1500:]}")
    return round(time.perf_counter() - began, 1)


def rows(root: Path, model: Artefact) -> np.ndarray[Any, np.dtype[np.float32]]:
    project = Project.open(root)
    dataset = Dataset.open(project, "first")
    at = {c.name: c for c in dataset.candidates}
    sample = dataset.sample(PAIRS[0], every=61, chosen=[at[name] for name in model.columns])
    project.close()
    return np.asarray(sample.X)


@contextmanager
def served(folder: Path, root: Path, public: str) -> Iterator[str]:
    """The inference image's server as a process; it must end with 0 when it is told to."""
    python, environment = python_of(folder)
    words = ["-m", "bqx.ops.container", "serve", "--root", str(root), "--host", "127.0.0.1", "--port", "0"]
    environment = {**environment, "BQX_TRUSTED_KEYS": public}
    process = subprocess.Popen(
        [python, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{url}ping", timeout=2)  # noqa: S310 - loopback
                break
            except OSError:
                time.sleep(0.1)
        yield url
        process.send_signal(signal.SIGTERM)
        if process.wait(60) != 0:
            raise RuntimeError(f"the server ended with {process.returncode}")
    finally:
        process.kill()


def ask(url: str, model: Artefact, X: Any) -> Any:
    instances = [[None if np.isnan(v) else float(v) for v in row] for row in X]
    data = json.dumps({"pair": PAIRS[0], "columns": list(model.columns), "instances": instances}).encode()
    request = urllib.request.Request(f"{url}invocations", data, {"content-type": "application/json"})  # noqa: S310
    return json.load(urllib.request.urlopen(request, timeout=60))  # noqa: S310 - loopback


def image_build(state: State) -> dict[str, Any]:
    """All three images, then the flow through them. Built images are not kept: a stopped check begins anew."""
    with tempfile.TemporaryDirectory(prefix="bqx-images-") as top:
        folders = {kind: Path(top) / kind for kind in KINDS}
        built = []
        for kind, folder in folders.items():
            folder.mkdir()
            built.append(build(kind, folder))
            print(f"{kind}: {built[-1]['steps']} steps in {built[-1]['seconds']} s", file=sys.stderr)
        found = flow(folders, Path(top) / "work", state.size, state.seed)
    ok = not found["differ"] and found["candidates"] == 2640 and found["answers"] >= 200
    return {"ok": ok, "images": built, **found}

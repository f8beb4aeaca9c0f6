"""The training job: one pair of a dataset, its signed model in model/, its forecasts in output/data/."""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bqx.base.atomic import write_text
from bqx.base.errors import ContainerError, QuarantinedError, TrainingError
from bqx.base.runlog import event
from bqx.ops.container.hyperparameters import NAME, Hyper, read_hyperparameters
from bqx.ops.container.layout import Layout, one_host

if TYPE_CHECKING:
    from bqx.research.artefact import Signer
    from bqx.research.training.folder import Run

CHANNEL = "project"
CARD = "bqx.json"
"""Beside the models: which run made them."""
METRIC = "bqx_metric name={name} value={value:.10g}"
METRICS = {
    name: rf"bqx_metric name={name} value=(-?[0-9.]+(?:e[-+]?[0-9]+)?)"
    for name in ("skill", "skill_low", "skill_high", "mae", "hit_rate", "cells_done")
}
"""Names and patterns by which a service finds the figures in the log; `skill` is of y4, all horizons together."""
COPIED = ("bqx.toml", "manifest.sqlite", "manifest.sqlite-wal", "research.sqlite", "research.sqlite-wal")
"""Files of a project that are opened for writing, so that a copy of them is worked on."""


def train_job(layout: Layout, say: Callable[[str], None]) -> dict[str, Any]:
    """Train as input/config/hyperparameters.json says, from the channel `project`; gives the model's card.

    say : takes lines for the log, metrics among them. Raises what `bqx train` raises; QuarantinedError for a run too
    good to be true and TrainingError below the quorum leave no model. With a folder checkpoints/, finished cells are
    kept there, and the next start of the job goes on from them.
    """
    from bqx.build.project import Project
    from bqx.research.dataset import Dataset
    from bqx.research.training.order import make_order
    from bqx.research.training.run import train

    asked = read_hyperparameters(layout.read(NAME))
    one_host(layout)
    channel = layout.channel(CHANNEL)
    assert channel is not None
    with _workspace(layout, channel, asked.name) as root, closing(Project.open(root)) as project:
        signer = _signer(project.config)
        dataset = Dataset.open(project, asked.dataset)
        order = make_order(dataset, asked.settings(), selection=asked.selection, columns=list(asked.columns) or None)
        run = train(
            order, asked.name, signer=signer, workers=asked.workers, retries=asked.retry, quorum=asked.quorum, note=say
        )
        _metrics(run, say)
        _judged(run)
        return _deliver(layout, root, run, asked, signer)


@contextmanager
def _workspace(layout: Layout, channel: Path, run: str) -> Iterator[Path]:
    """A project folder that can be written: the channel may be read-only, and is not changed in any case.

    What is only read is linked, what is opened for writing is copied, and the run lies in checkpoints/ if there is one.
    """
    from bqx.base.config import CONFIG_NAME

    if not (channel / CONFIG_NAME).is_file():
        raise ContainerError(
            "the channel `project` holds no bqx project", where=str(channel),
            fix="give what the processing job wrote to output/project",
        )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="bqx-train-") as folder:
        root = Path(folder) / "project"
        root.mkdir()
        for path in channel.iterdir():
            if path.name in COPIED:
                shutil.copyfile(path, root / path.name)
            elif path.name not in ("models", "cache") and not path.name.endswith(("-shm", "-wal")):
                (root / path.name).symlink_to(path.resolve())
        (root / "models").mkdir()
        if (channel / "models" / "trusted.keys").is_file():
            shutil.copyfile(channel / "models" / "trusted.keys", root / "models" / "trusted.keys")
        if layout.checkpoints.is_dir():
            kept = layout.checkpoints / run
            kept.mkdir(exist_ok=True)
            (root / "models" / run).symlink_to(kept.resolve(), target_is_directory=True)
        yield root


def _signer(config: Any) -> Signer:
    """Before anything is trained: hours of work may not end at a missing key."""
    from bqx.base.secrets import provider_from
    from bqx.research.artefact import Signer

    return Signer.of(provider_from(config))


def _metrics(run: Run, say: Callable[[str], None]) -> None:
    """Lines that METRICS find. A run in quarantine has no figures, so none are shown."""
    result = run.head["result"]
    say(METRIC.format(name="cells_done", value=result["done"]))
    whole = (result.get("pooled") or {}).get("y4")
    rows = [s for s in result.get("scores") or [] if s["target"] == "y4"]
    for s in rows:
        figures = " ".join(f"{k}={s[k]:.6g}" for k in ("skill", "low", "high", "mae", "hit_rate") if s[k] is not None)
        say(f"bqx_score pair={s['pair']} horizon={s['horizon']} rows={s['rows']} {figures}")
    if whole is not None:
        for name, key in (("skill", "skill"), ("skill_low", "low"), ("skill_high", "high")):
            if isinstance(value := whole.get(key), float) and math.isfinite(value):
                say(METRIC.format(name=name, value=value))
    if count := sum(s["rows"] for s in rows):
        for name in ("mae", "hit_rate"):
            say(METRIC.format(name=name, value=sum(s[name] * s["rows"] for s in rows) / count))


def _judged(run: Run) -> None:
    found = run.head["result"]
    if run.state == "quarantined":
        raise QuarantinedError(f"run {run.name} is quarantined: {found['too_good'][0]}", where=run.name)
    if run.state != "done":
        why = "; ".join(f"{f['cell']}: {f['reason']}" for f in found["failures"][:3])
        raise TrainingError(f"{found['done']} of {found['cells']} cells are done: {why}", where=run.name)


def _deliver(layout: Layout, root: Path, run: Run, asked: Hyper, signer: Signer) -> dict[str, Any]:
    """The artefact into model/, loaded once more from there; the run's folder and the ledger of trials into
    output/data/."""
    from bqx.research.artefact import Artefact
    from bqx.research.trials import LEDGER_NAME

    made = run.artefact(asked.pair)
    if not made.is_dir():
        failures = run.head["result"]["failures"]
        raise TrainingError(f"no model was made: {failures[-1]['reason'] if failures else 'none'}", where=run.name)
    target = layout.model / asked.pair
    _replace(made, target)
    digest = Artefact.load(target, frozenset({signer.public})).digest
    card = {
        "format": 1, "pair": asked.pair, "digest": digest, "run": run.name, "run_hash": run.hash,
        "dataset": run.head["dataset"], "dataset_hash": run.head["dataset_hash"], "simulated": run.simulated,
        "horizons": list(run.horizons), "signed_by": signer.public,
    }  # fmt: skip
    write_text(layout.model / CARD, json.dumps(card, indent=1, sort_keys=True) + "\n")
    data = layout.root / "output" / "data" / run.name
    data.parent.mkdir(parents=True, exist_ok=True)
    _replace(run.folder, data)
    with (
        closing(sqlite3.connect(root / LEDGER_NAME)) as ours,
        closing(sqlite3.connect(data.parent / LEDGER_NAME)) as out,
    ):
        ours.backup(out)
    event("container.trained", pair=asked.pair, digest=digest)
    return card


def _replace(source: Path, target: Path) -> None:
    """A copy of the folder, whole or not at all."""
    work = target.with_name(f".{target.name}.part")
    shutil.rmtree(work, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, work, ignore=shutil.ignore_patterns(".lock"))
    shutil.rmtree(target, ignore_errors=True)
    work.rename(target)

"""From a prediction back to bars: model, run, dataset, partitions; and from a column to the models that take it."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from bqx.research.artefact import Artefact
from bqx.research.dataset import FOLDER as DATASETS
from bqx.research.dataset import MANIFEST
from bqx.research.registry.evidence import Evidence, read_object
from bqx.research.registry.model import Model
from bqx.research.registry.store import Registry

_LAG = re.compile(r"\.lag(\d+)$")


def lineage(registry: Registry, model: Model) -> dict[str, Any]:
    """What a model was made of; loading the artefact verifies every byte of it.

    columns : its inputs in order. datasets : how many of them come from each feature dataset. sources : partitions that
    the training data was read from, with the hash that fixes each; empty when the dataset was removed.
    """
    artefact = Artefact.load(registry.root / model.path, registry.root)
    run = Evidence(registry, model).run
    path = registry.root / DATASETS / str(run.head["dataset"]) / MANIFEST
    made = read_object(path) if path.is_file() else {}
    same = made.get("hash") == run.head["dataset_hash"]
    return {
        "model": model.name,
        "digest": artefact.digest,
        "run": {"name": run.name, "hash": run.hash, "code": run.head["code_version"], "mask": run.head["mask"]},
        "dataset": {"name": run.head["dataset"], "hash": run.head["dataset_hash"], "here": same},
        "catalogue_version": run.head["catalogue_version"],
        "lag_profile": run.head["lag_profile"],
        "window": artefact.manifest["window"],
        "columns": list(artefact.columns),
        "datasets": dict(sorted(Counter(home(c) for c in artefact.columns).items())),
        "lagged": sum(bool(_LAG.search(c)) for c in artefact.columns),
        "sources": made["sources"].get(model.pair, {}) if same else {},
    }


def users(registry: Registry, column: str) -> list[Model]:
    """Models whose inputs hold the column or a lag of it, newest last."""
    out = []
    for model in registry.models():
        artefact = Artefact.load(registry.root / model.path, registry.root)
        if any(_LAG.sub("", c) == column for c in artefact.columns):
            out.append(model)
    return out


def home(candidate: str) -> str:
    """Feature dataset of a candidate's name."""
    return candidate.partition(".")[0]

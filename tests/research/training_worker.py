"""Trains a run in a process of its own, so that it can be killed: PROJECT NAME WORKERS KEY."""

from __future__ import annotations

import sys
from pathlib import Path

from training_worlds import order

from bqx.base.secret import Secret
from bqx.build.project import Project
from bqx.research.artefact import Signer
from bqx.research.dataset import Dataset
from bqx.research.training.folder import Run
from bqx.research.training.run import train


def work(root: Path, name: str, workers: int, key: str) -> Run:
    """The run of these tests: two pairs, two horizons, three folds, all heads, artefacts."""
    dataset = Dataset.open(Project.open(root), "first")
    asked = order(dataset, horizons=(15, 30), heads=("point", "quantile", "direction"))
    return train(asked, name, signer=Signer(Secret(key)), workers=workers)


if __name__ == "__main__":
    work(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4])

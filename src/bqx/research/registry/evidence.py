"""What gates look at: the run's evaluation, its backtest, the leakage tests, and what other rooms hand in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bqx.base.errors import RegistryError
from bqx.research.dataset import FOLDER as DATASETS
from bqx.research.leakage.record import recorded
from bqx.research.registry.model import Model
from bqx.research.registry.store import Registry
from bqx.research.training.admit import EVIDENCE as ADMISSION
from bqx.research.training.folder import FOLDER as RUNS
from bqx.research.training.folder import Run

EVALUATION, BACKTEST = "evaluation.json", "backtest.json"


@dataclass(frozen=True)
class Evidence:
    """Of one model. Files made for another run of the same name do not count: their `run_hash` must be the model's."""

    registry: Registry
    model: Model

    @cached_property
    def run(self) -> Run:
        """RegistryError when the run is gone or another one has its name."""
        folder = self.registry.root / RUNS / self.model.run
        if not folder.is_dir():
            raise RegistryError(f"the run of {self.model.name} is gone", where=str(folder))
        run = Run.read(folder)
        if run.hash != self.model.run_hash:
            raise RegistryError(f"{run.name} is not the run that made {self.model.name}", where=str(folder))
        return run

    @cached_property
    def evaluation(self) -> dict[str, Any] | None:
        """evaluation.json of the whole run, None when there is none."""
        return self._of_run(EVALUATION)

    @cached_property
    def backtest(self) -> dict[str, Any] | None:
        return self._of_run(BACKTEST)

    @cached_property
    def admission(self) -> dict[str, Any] | None:
        """admission.json of `bqx runs admit`, None when the run was not compared."""
        return self._of_run(ADMISSION)

    @cached_property
    def leakage(self) -> dict[str, Any] | None:
        """The leakage tests of the dataset the run was trained on, None when they were not run."""
        return recorded(
            self.registry.root / DATASETS / str(self.run.head["dataset"]), str(self.run.head["dataset_hash"])
        )

    def handed_in(self, gate: str) -> Mapping[str, dict[str, Any]]:
        """By source."""
        return self.registry.evidence(gate, self.model.digest)

    def _of_run(self, name: str) -> dict[str, Any] | None:
        path = self.run.folder / name
        if not path.is_file():
            return None
        data = read_object(path)
        return data if data.get("run_hash") == self.run.hash else None


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object; RegistryError for anything else."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise RegistryError(f"{path.name} cannot be read: {error}", where=str(path)) from error
    if not isinstance(data, dict):
        raise RegistryError(f"{path.name} is not a JSON object", where=str(path))
    return data

"""Where a check stands, so that a stopped one goes on; and where and by what a result was made."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import RESULTS, commit, provenance
from bqx.base.atomic import write_text


@dataclass
class State:
    """Finished trials of a check, kept in benchmarks/results/<check>.partial.json until it is done."""

    name: str
    seed: int
    size: int
    trials: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def load(cls, name: str, seed: int, size: int) -> State:
        """Earlier trials count when seed, size and commit are the same."""
        state = cls(name, seed, size)
        if state._path.is_file():
            data = json.loads(state._path.read_text())
            if (data["seed"], data["size"], data["commit"]) == (seed, size, commit()):
                state.trials = data["trials"]
        return state

    @property
    def _path(self) -> Path:
        return RESULTS / f"{self.name}.partial.json"

    def add(self, trial: dict[str, Any]) -> None:
        self.trials.append(trial)
        data = {"seed": self.seed, "size": self.size, "commit": commit(), "trials": self.trials}
        write_text(self._path, json.dumps(data))

    def finish(self, result: dict[str, Any]) -> Path:
        """Write the result and forget the trials."""
        path = RESULTS / f"{self.name}.json"
        head = {"check": self.name, "seed": self.seed, "size": self.size, **provenance()}
        write_text(path, json.dumps({**head, **result}, indent=2) + "\n")
        self._path.unlink(missing_ok=True)
        return path

"""Where a check stands, so that a stopped one goes on; and where and by what a result was made."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bqx.base.atomic import write_text

RESULTS = Path(__file__).parents[1] / "results"


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
        head = {"check": self.name, "seed": self.seed, "commit": commit(), "machine": machine()}
        write_text(path, json.dumps({**head, **result}, indent=2) + "\n")
        self._path.unlink(missing_ok=True)
        return path


def commit() -> str:
    """Hash of the checked-out commit, marked when tracked files differ from it."""
    root = Path(__file__).parents[2]
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no", "src"],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+changes" if changed.stdout.strip() else "")


def machine() -> dict[str, Any]:
    """What the figures were measured on; no host name."""
    return {
        "system": platform.system(),
        "arch": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_at_end": [round(x, 1) for x in os.getloadavg()],
    }

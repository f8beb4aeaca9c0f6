"""A small market in a project with a dataset, and the folder of a job that may read it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bqx.research.candidates import candidates

COLUMNS = [c.name for c in candidates() if c.lag == 0 and c.warmup < 3000][:400:20]
FAST = {"pair": "EURUSD", "dataset": "first", "columns": ",".join(COLUMNS), "estimator": "ridge", "heads": "point",
        "horizons": "15", "every": "15"}  # fmt: skip


@dataclass
class Market:
    """root : the project. secrets : a folder with the signing key; public : what it signs with."""

    root: Path
    secrets: Path
    public: str
    private: str

    def job(self, root: Path, **hyper: str) -> Path:
        """A training job's folder, with the project as its channel; hyperparameters as a service writes them."""
        (root / "input" / "config").mkdir(parents=True)
        (root / "input" / "data").mkdir()
        (root / "input" / "data" / "project").symlink_to(self.root)
        (root / "model").mkdir()
        write(root, "hyperparameters.json", {**FAST, **hyper})
        write(root, "inputdataconfig.json", {"project": {"TrainingInputMode": "File"}})
        write(root, "resourceconfig.json", {"current_host": "algo-1", "hosts": ["algo-1"]})
        return root

    def environment(self, root: Path) -> dict[str, str]:
        return {"BQX_ML_ROOT": str(root), "BQX_SECRETS_PROVIDER": "file", "BQX_SECRETS_PATH": str(self.secrets),
                "BQX_TRUSTED_KEYS": self.public}  # fmt: skip


def write(root: Path, name: str, data: Any) -> None:
    (root / "input" / "config" / name).write_text(json.dumps(data))

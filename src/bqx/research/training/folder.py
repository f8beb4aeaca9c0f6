"""The folder of a training run: its head, its state, and where its parts lie."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from bqx.base.atomic import write_text
from bqx.base.errors import RunError, UsageError
from bqx.research.dataset import check_name
from bqx.research.training.forecasts import read_forecasts

if TYPE_CHECKING:
    from bqx.build.project import Project

FOLDER, HEAD, SIGNED = "models", "run.json", "signed.json"
FORMAT = 1
LOOSE = ("hash", "name", "state", "result")
"""Keys of run.json that do not decide what the run forecasts."""
REQUIRED = ("format", "name", "dataset", "dataset_hash", "lag_profile", "catalogue_version", "estimator", "params",
            "heads", "pairs", "horizons", "folds", "every", "scope", "mask", "seed", "code_version", "simulated",
            "versions", "hash", "state", "result")  # fmt: skip
State = Literal["training", "short", "done", "quarantined"]
"""training: not finished. short: fewer cells than the quorum. done: usable. quarantined: L14, unless signed."""


@dataclass(frozen=True)
class Run:
    """One run under `PROJECT/models/NAME`; `head` is run.json.

    Parts: `cells/{group}_{horizon}_{fold}/`, `forecasts/{pair}_{horizon}.parquet`, `artefacts/{pair}/`.
    """

    folder: Path
    head: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Run:
        """Raises RunError when run.json is damaged, changed by hand or of another format."""
        path = Path(folder) / HEAD
        try:
            head = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"{HEAD} cannot be read: {error}", where=str(path)) from error
        if not isinstance(head, dict) or head.get("format") != FORMAT:
            raise RunError(f"{HEAD} is not of format {FORMAT}", where=str(path), fix="use the bqx that wrote it")
        if absent := [k for k in REQUIRED if k not in head]:
            raise RunError(f"{HEAD} has no {absent[0]!r}", where=str(path))
        if head["hash"] != head_hash(head):
            raise RunError(f"{HEAD} was changed after the run began", where=str(path))
        return cls(Path(folder), head)

    @property
    def name(self) -> str:
        return str(self.head["name"])

    @property
    def hash(self) -> str:
        """Names data, code and settings together; in ledgers and artefacts."""
        return str(self.head["hash"])

    @property
    def state(self) -> State:
        found: State = self.head["state"]
        return found

    @property
    def simulated(self) -> bool:
        return bool(self.head["simulated"])

    @property
    def every(self) -> int:
        """Bars between test rows."""
        return int(self.head["every"])

    @property
    def heads(self) -> tuple[str, ...]:
        """Of `point`, `quantile`, `direction`."""
        return tuple(self.head["heads"])

    @property
    def pairs(self) -> tuple[str, ...]:
        return tuple(self.head["pairs"])

    @property
    def horizons(self) -> tuple[int, ...]:
        return tuple(self.head["horizons"])

    @property
    def folds(self) -> tuple[int, ...]:
        return tuple(self.head["folds"])

    @cached_property
    def signed(self) -> dict[str, Any] | None:
        """Who signed a quarantined run off, when and why; None when nobody did."""
        path = self.folder / SIGNED
        if not path.is_file():
            return None
        data: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return data if data.get("run_hash") == self.hash else None

    @property
    def closed(self) -> bool:
        """Quarantined and not signed: its figures are kept back."""
        return self.state == "quarantined" and self.signed is None

    def forecast_path(self, pair: str, horizon: int) -> Path:
        return self.folder / "forecasts" / f"{pair}_{horizon}.parquet"

    def forecasts(self, pair: str, horizon: int) -> pl.DataFrame:
        """Test rows of all finished folds of a pair and horizon, in order of time (`forecasts.SCHEMA`), checked."""
        if pair not in self.pairs or horizon not in self.horizons:
            have = f"{', '.join(self.pairs)} at {', '.join(map(str, self.horizons))} bars"
            raise UsageError(f"run {self.name} has no forecasts of {pair} at {horizon} bars", fix=f"it has {have}")
        return read_forecasts(self.forecast_path(pair, horizon), horizon=horizon)

    def tables(self) -> list[tuple[str, int]]:
        """Pairs and horizons that have a forecast table, in the head's order."""
        return [(p, h) for p in self.pairs for h in self.horizons if self.forecast_path(p, h).is_file()]

    def artefact(self, pair: str) -> Path:
        """Folder of the pair's final model."""
        return self.folder / "artefacts" / pair

    def with_state(self, state: State, result: dict[str, Any]) -> Run:
        """Write the state; gives back the run as it now is."""
        head = {**self.head, "state": state, "result": result}
        write_head(self.folder, head)
        return Run(self.folder, head)


def open_run(project: Project, name: str) -> Run:
    """A run by name; UsageError lists what there is."""
    folder = project.root / FOLDER / check_name(name)
    if not (folder / HEAD).is_file():
        have = ", ".join(names(project.root)) or "none: `bqx train NAME --dataset D`"
        raise UsageError(f"no training run {name!r}", fix=f"there is {have}")
    return Run.read(folder)


def runs(project: Project) -> list[Run]:
    """All runs of a project, by name."""
    return [Run.read(project.root / FOLDER / name) for name in names(project.root)]


def names(root: Path) -> list[str]:
    return sorted(p.parent.name for p in (root / FOLDER).glob(f"*/{HEAD}") if not p.parent.name.startswith("."))


def head_hash(head: dict[str, Any]) -> str:
    """Of all in a head but LOOSE."""
    text = json.dumps({k: v for k, v in head.items() if k not in LOOSE}, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def write_head(folder: Path, head: dict[str, Any]) -> None:
    write_text(folder / HEAD, json.dumps(head, indent=1, sort_keys=True, allow_nan=False) + "\n")

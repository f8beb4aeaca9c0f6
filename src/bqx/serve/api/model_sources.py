"""Which artefact serves each pair: those of a training run, or what the registry says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bqx.base.errors import ServeError
from bqx.research.backtest.result import read_result, rule_of
from bqx.research.backtest.signal import SignalRule
from bqx.research.dataset import check_name
from bqx.research.registry import Model, Registry
from bqx.research.registry.store import NAME
from bqx.research.training.folder import FOLDER, HEAD, Run
from bqx.research.training.quarantine import check_quarantine


@dataclass(frozen=True, slots=True)
class Located:
    """A model to serve. promoted : it passed every gate; otherwise signals are HOLD. why : where it stands, in words.
    digest : what the artefact must be, where somebody knows. rule : when a forecast becomes a signal, as its run was
    traded on history: a lower hurdle would be another strategy."""

    pair: str
    folder: Path
    version: str
    promoted: bool
    why: str
    digest: str | None = None
    rule: SignalRule = field(default_factory=lambda: rule_of(None))


class ModelSource(Protocol):
    """Says which artefact serves each pair: a run of `bqx train`, or the registry."""

    def stamp(self) -> object:
        """Cheap; another value when :meth:`production` may have changed."""

    def production(self) -> Mapping[str, Located]:
        """The model of each pair."""


class RunModels:
    """Artefacts of one run of `bqx train`, as research: nothing of it is promoted.

    Raises QuarantinedError or TrainingError for a run that nothing may be shown of.
    """

    def __init__(self, root: Path, run: str) -> None:
        self.run, home = run, root / FOLDER / check_name(run)
        self.folder = home / "artefacts"
        if not self.folder.is_dir():
            raise ServeError(f"run {run!r} has no artefacts", where=str(self.folder), fix="`bqx train` makes them")
        check_quarantine(Run.read(home))
        self.home = home

    def stamp(self) -> object:
        return tuple((p.name, p.stat().st_mtime_ns) for p in sorted(self.folder.glob("*/manifest.json")))

    def production(self) -> Mapping[str, Located]:
        why, rule = f"run {self.run} is research: no demonstrated skill", tested_rule(self.home)
        return {
            p.parent.name: Located(p.parent.name, p.parent, self.run, False, why, rule=rule)
            for p in sorted(self.folder.glob("*/manifest.json"))
        }


class RegistryModels:
    """What the registry has in production; a pair without serves its newest pending or approved model, as research."""

    def __init__(self, root: Path) -> None:
        self.root, self.path = root, root / NAME
        if not self.path.is_file():
            raise ServeError(
                "there is no registry of models", where=str(self.path),
                fix="`bqx models add RUN` makes it, or serve a run as it is with --models RUN",
            )  # fmt: skip

    def stamp(self) -> object:
        state = self.path.stat()
        return state.st_mtime_ns, state.st_size, state.st_ino

    def production(self) -> Mapping[str, Located]:
        chosen: dict[str, Model] = {}
        for model in Registry(self.root).models():  # by version, so that the newest is the last
            before = chosen.get(model.pair)
            if model.state != "archived" and (before is None or before.research):
                chosen[model.pair] = model
        return {pair: self._located(model) for pair, model in sorted(chosen.items())}

    def _located(self, model: Model) -> Located:
        why = f"{model.state}: no demonstrated skill" if model.research else "production: every gate passed"
        rule = tested_rule(self.root / FOLDER / model.run, model.run_hash)
        return Located(model.pair, self.root / model.path, model.name, not model.research, why, model.digest, rule)


def tested_rule(home: Path, run_hash: str | None = None) -> SignalRule:
    """The rule of a run's backtest, that of the default settings without one, or when another run has its name."""
    if not (home / HEAD).is_file():
        return rule_of(None)
    run = Run.read(home)
    return rule_of(None if run_hash not in (None, run.hash) else read_result(run))

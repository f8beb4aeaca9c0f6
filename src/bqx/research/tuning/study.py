"""The search itself: Optuna's TPE and median pruner over finished trials, one trial a file, resumable to the bit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bqx.base.atomic import write_text
from bqx.base.errors import TuningError, Unsupported
from bqx.research.estimators import forecaster
from bqx.research.tuning.inner import Problem
from bqx.research.tuning.space import Axis

STARTUP = 8
"""Trials drawn at random, the default among them, before TPE guides."""
PRUNE_AFTER = 4
"""Trials that see all folds before any may be cut short for being worse than their median."""


@dataclass(frozen=True)
class Tried:
    """One set: `losses` on the inner folds it got to, fewer than all when it was pruned."""

    number: int
    found: Mapping[str, float]
    params: Mapping[str, Any]
    losses: tuple[float, ...]
    pruned: bool

    @property
    def score(self) -> float:
        """Mean loss over the folds; 1 is the random walk."""
        return float(np.mean(self.losses))


class Study:
    """Trials under `folder`. Trial n depends on the trials before it and on (seed, n) alone, so a study that was
    interrupted goes on as if it had not been."""

    def __init__(self, folder: Path, problem: Problem, space: Mapping[str, Axis], seed: int) -> None:
        self.folder, self.problem, self.space, self.seed = Path(folder), problem, dict(space), seed
        self.done = self._read()

    def step(self, pool: Executor) -> Tried:
        """Make the next trial; it is on disk only by :meth:`keep`, after the ledger has it."""
        number = len(self.done)
        study = self._study(number)
        trial = study.ask()
        found = {k: self._suggest(trial, k, a) for k, a in self.space.items()} if number else {}
        default = dict(forecaster(self.problem.estimator).params())
        params = {**default, **{k: self.space[k].value(v) for k, v in found.items()}}
        losses: list[float] = []
        pruned = False
        for k, fold in enumerate(self.problem.folds[:-1]):
            losses.append(self.problem.score(fold, params, pool)[0])
            trial.report(float(np.mean(losses)), k)
            if number and k + 2 < len(self.problem.folds) and trial.should_prune():
                pruned = True
                break
        return Tried(number, found, params, tuple(losses), pruned)

    def keep(self, tried: Tried) -> None:
        write_text(self._path(tried.number), json.dumps(asdict(tried), indent=1, allow_nan=False) + "\n")
        self.done.append(tried)

    def best(self) -> Tried:
        """The least loss among the trials that saw all folds; the first of equals."""
        return min((t for t in self.done if not t.pruned), key=lambda t: (t.score, t.number))

    def _study(self, number: int) -> Any:
        """An Optuna study in memory, told of the trials before this one. The default set is a trial of no axes'."""
        optuna = need_optuna()
        sampler = optuna.samplers.TPESampler(seed=_mixed(self.seed, number), n_startup_trials=STARTUP)
        pruner = optuna.pruners.MedianPruner(n_startup_trials=PRUNE_AFTER)
        study = optuna.create_study(sampler=sampler, pruner=pruner, direction="minimize")
        axes = {k: _distribution(optuna, a) for k, a in self.space.items()}
        states = optuna.trial.TrialState
        for t in self.done[1:]:
            steps = {k: float(np.mean(t.losses[: k + 1])) for k in range(len(t.losses))}
            study.add_trial(
                optuna.trial.create_trial(
                    state=states.PRUNED if t.pruned else states.COMPLETE,
                    value=None if t.pruned else t.score,
                    params={k: int(v) if self.space[k].whole else v for k, v in t.found.items()},
                    distributions=axes,
                    intermediate_values=steps,
                )
            )
        return study

    def _suggest(self, trial: Any, name: str, axis: Axis) -> float:
        if axis.whole:
            return int(trial.suggest_int(name, int(axis.low), int(axis.high), log=axis.log))
        return float(trial.suggest_float(name, axis.low, axis.high, log=axis.log))

    def _path(self, number: int) -> Path:
        return self.folder / "trials" / f"{number:04}.json"

    def _read(self) -> list[Tried]:
        out: list[Tried] = []
        while (path := self._path(len(out))).is_file():
            try:
                data = json.loads(path.read_text("utf-8"))
                out.append(Tried(**{**data, "losses": tuple(data["losses"])}))
            except (ValueError, TypeError, KeyError) as error:
                raise TuningError(f"a trial cannot be read: {error}", where=str(path)) from error
            if out[-1].number != len(out) - 1:
                raise TuningError(f"a trial says it is number {out[-1].number}", where=str(path))
        return out


def _distribution(optuna: Any, axis: Axis) -> Any:
    kinds = optuna.distributions
    if axis.whole:
        return kinds.IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    return kinds.FloatDistribution(axis.low, axis.high, log=axis.log)


def _mixed(seed: int, number: int) -> int:
    return int(np.random.SeedSequence([seed, 71, number]).generate_state(1)[0])


def need_optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise Unsupported("tuning needs Optuna, which is not installed", fix="pip install optuna") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna

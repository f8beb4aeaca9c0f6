"""`bqx tune`: search on the inner folds of one training window, confirm on the last of them, write the result."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bqx.base.atomic import write_text
from bqx.base.errors import TuningError, UsageError
from bqx.research.compare_losses import diebold_mariano
from bqx.research.dataset import check_name
from bqx.research.estimators import forecaster
from bqx.research.split_plan import FoldSpan
from bqx.research.training.settings import code_version
from bqx.research.trials import Trial, Trials
from bqx.research.tuning.inner import Problem, read_problem
from bqx.research.tuning.result import FORMAT, KIND, verdict
from bqx.research.tuning.space import as_dict, space_of
from bqx.research.tuning.study import Study, Tried

if TYPE_CHECKING:
    from bqx.research.training.order import Order

FOLDER = "tuning"
RESULT = "result.json"
LEVEL = 0.05
Note = Callable[[str], None]


def tune(
    order: Order,
    name: str,
    *,
    trials: int = 40,
    inner: int = 4,
    workers: int = 1,
    take_best: bool = False,
    note: Note = lambda _: None,
) -> dict[str, Any]:
    """Search `trials` sets (the default is the first) and give back the result, also written to tuning/NAME.

    `order` names one fold, whose training window alone is read. The set is chosen on all inner folds but the last and
    compared with the default on the last. `params` of the result are the default's unless the chosen set is shown to
    be better there, or `take_best`. The same call goes on after an interruption, also with more trials. TuningError
    when the name is another study's.
    """
    from threadpoolctl import threadpool_limits

    if trials < 2:
        raise UsageError("two trials are the least: the default and another")
    folder = order.dataset.project.root / FOLDER / check_name(name)
    fold = one_fold(order)
    space = space_of(order.recipe.estimator)
    head = head_of(order, fold, inner)
    _begin(folder, head)
    problem = read_problem(order, fold, inner)
    ledger = Trials(order.dataset.project.root)
    study = Study(folder, problem, space, order.recipe.seed)
    began, before = time.perf_counter(), len(study.done)
    with threadpool_limits(limits=1), ThreadPoolExecutor(workers) as pool:
        while len(study.done) < trials:
            tried = study.step(pool)
            ledger.record([_row(order, head, tried)])
            study.keep(tried)
            left = (time.perf_counter() - began) / (len(study.done) - before) * (trials - len(study.done))
            state = "pruned" if tried.pruned else f"loss {tried.score:.5f}"
            note(f"trial {tried.number + 1} of {trials}: {state}, about {left / 60:.0f} min left")
        result = {**head, **judge(problem, study, pool, take_best)}
    write_text(folder / RESULT, json.dumps(result, indent=1, allow_nan=False) + "\n")
    return result


def judge(problem: Problem, study: Study, pool: ThreadPoolExecutor, take_best: bool) -> dict[str, Any]:
    """Best set against the default on the last inner fold, in bins of the longest label: only neighbours overlap."""
    best, default = study.best(), study.done[0]
    last = problem.folds[-1]
    scores = {k: problem.score(last, t.params, pool) for k, t in (("best", best), ("default", default))}
    p, same = 1.0, best.number == default.number
    if not same:
        kept = scores["default"][1] > 0.0
        p = diebold_mariano(scores["best"][1][kept], scores["default"][1][kept], 1).better
    shown = p < LEVEL
    chosen = best if shown or take_best else default
    what = "it is taken all the same" if take_best else "the default is kept"
    return {
        "trials": len(study.done),
        "pruned": sum(t.pruned for t in study.done),
        "params": dict(chosen.params),
        "best": _fact(best, scores["best"][0]),
        "default": _fact(default, scores["default"][0]),
        "p_better": p,
        "better": shown,
        "verdict": "no set tried had less loss than the default" if same else verdict(p, what, LEVEL),
    }


def _fact(tried: Tried, confirmed: float) -> dict[str, Any]:
    """loss : mean squared error over the random walk's, on the folds of choice; confirmed : on the last."""
    return {"trial": tried.number, "params": dict(tried.params), "loss": tried.score, "confirmed": confirmed}


def one_fold(order: Order) -> FoldSpan:
    """The fold whose training window is searched; UsageError unless the order names exactly one."""
    if len(order.folds) != 1 or order.together:
        raise UsageError("tuning takes one fold, and a model a pair", fix="for example --fold 0")
    return next(f for f in order.dataset.splits.folds() if f.number == order.folds[0])


def head_of(order: Order, fold: FoldSpan, inner: int) -> dict[str, Any]:
    """All that decides the search but the number of trials."""
    recipe, dataset = order.recipe, order.dataset
    return {
        "kind": KIND,
        "format": FORMAT,
        "estimator": recipe.estimator,
        "dataset": dataset.name,
        "dataset_hash": dataset.hash,
        "lag_profile": dataset.profile,
        "simulated": dataset.simulated,
        "pairs": list(order.pairs),
        "horizons": list(order.horizons),
        "fold": fold.number,
        "window": [fold.train_start, fold.train_end],
        "inner": inner,
        "spacing": {str(h): k for h, k in order.spacing.items()},
        "mask": {"source": order.masks.source, "digest": order.masks.digest},
        "seed": recipe.seed,
        "space": as_dict(space_of(recipe.estimator)),
        "code_version": code_version(),
        "start": dict(forecaster(recipe.estimator).params()),
    }


def _begin(folder: Path, head: Mapping[str, Any]) -> None:
    path = folder / "head.json"
    if path.is_file():
        if json.loads(path.read_text("utf-8")) != head:
            raise TuningError(
                "a study of that name has other options, another dataset or other code", where=str(folder)
            )
        return
    write_text(path, json.dumps(head, indent=1) + "\n")


def _row(order: Order, head: Mapping[str, Any], tried: Tried) -> Trial:
    return Trial(
        "tuning",
        order.recipe.estimator,
        {**tried.params, "spacing": head["spacing"], "pairs": head["pairs"], "horizons": head["horizons"]},
        order.masks.digest,
        len(order.masks.numbers((order.pairs[0],), order.folds[0])),
        order.dataset.profile,
        order.dataset.hash,
        order.pairs[0] if len(order.pairs) == 1 else "all",
        str(order.folds[0]),
        "y3 and y4",
        order.recipe.seed,
        tried.score,
        "squared error over the random walk's, inner folds",
    )


def todo(order: Order, name: str, trials: int, inner: int) -> dict[str, Any]:
    """What `tune` would do, without reading a row."""
    fold = one_fold(order)
    done = len(list((order.dataset.project.root / FOLDER / check_name(name) / "trials").glob("*.json")))
    fits = len(order.pairs) * len(order.horizons) * (inner - 1)
    return {**head_of(order, fold, inner), "done": done, "trials": trials, "fits": max(trials - done, 0) * fits}

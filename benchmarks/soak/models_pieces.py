"""Do the pieces of models keep their word over many worlds? Intervals cover, tuning and admission do not cry wolf."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.soak.model_world import curved, product, wandering
from benchmarks.soak.state import State
from bqx.research.artefact import Recipe, fit_horizon
from bqx.research.artefact.horizon import COLUMNS
from bqx.research.estimators import forecaster
from bqx.research.estimators.admission import admit
from bqx.research.estimators.ridge_forecast import RidgeForecast
from bqx.research.tuning.run import judge
from bqx.research.tuning.space import space_of
from bqx.research.tuning.study import Study

F8 = NDArray[np.float64]
LO90, HI90 = COLUMNS.index("lo90"), COLUMNS.index("hi90")
DRIFT = 2.0
PLANTED_EVERY = 4
LEVEL = 0.05


class Twin(RidgeForecast):
    """Ridge under another name and with one penalty: no better than ridge."""

    name = "twin"


class Product(RidgeForecast):
    """Ridge that is told the product of the first two columns."""

    name = "product"

    def fit(self, X: Any, Y: F8, position: Any, horizon: int, embargo: int) -> Any:
        return super().fit(self._wide(X), Y, position, horizon, embargo)

    def predict(self, X: Any) -> F8:
        return super().predict(self._wide(X))

    @staticmethod
    def _wide(X: Any) -> Any:
        return np.column_stack([X, X[:, 0] * X[:, 1]])


def coverage(seed: int, estimator: str, drift: float, days: int = 120) -> dict[str, float]:
    """Share of the last third that the 90 % intervals cover, adapted and as training left them, and that of the worst
    cell of 300 rows or more."""
    rows = wandering(days, seed, drift)
    cut = 2 * len(rows) // 3
    train, test = rows.take(np.arange(cut - 4)), rows.take(np.arange(cut, len(rows)))
    model = fit_horizon(train, 60, Recipe(estimator, heads=("quantile",), embargo=240))
    assert model.intervals is not None
    cell = model.intervals.cells.of(test.minute, test.sigma)
    y, late = test.y4[60], np.arange(len(test)) >= len(test) // 4

    def inside(out: F8) -> NDArray[np.bool_]:
        return np.asarray((out[:, LO90] <= y) & (y <= out[:, HI90]))

    walked = inside(model.walk(test.X, test.position, test.minute, test.sigma, y))
    sizes = np.bincount(cell, minlength=15)
    big = [abs(float(walked[cell == c].mean()) - 0.9) for c in np.flatnonzero(sizes >= 300)]
    plain = inside(model.predict(test.X, cell))
    return {"walked": float(walked[late].mean()), "plain": float(plain[late].mean()), "worst": max(big, default=0.0)}


def tuning(seed: int, effect: float, trials: int = 10, fresh: int = 20_000) -> dict[str, Any]:
    """Was the tuned set called better, and is it, on fresh rows of the same law?"""
    problem = curved(effect, seed=seed)
    with tempfile.TemporaryDirectory(prefix="bqx-soak-") as folder, ThreadPoolExecutor(1) as pool:
        study = Study(Path(folder), problem, space_of("boosting"), seed)
        while len(study.done) < trials:
            study.keep(study.step(pool))
        found = judge(problem, study, pool, take_best=False)
    X, y = product(fresh, effect, seed + 1_000_000)
    rows = problem.rows["eurusd", 15]
    loss = {}
    for which in ("best", "default"):
        model = forecaster("boosting", **found[which]["params"], seed=problem.seed)
        model.fit(rows.X, rows.y4[15][:, None], rows.position, 15, 150)
        loss[which] = float(((y - model.predict(X)[:, 0]) ** 2).mean())
    return {"called": bool(found["better"]), "is": loss["best"] < loss["default"]}


def admission(seed: int, effect: float) -> dict[str, bool]:
    """Is a twin of ridge admitted where there is nothing to gain, and the right model where there is?"""
    X, y = product(2600, effect, seed)
    position = 15 * np.arange(len(X), dtype=np.int64)
    folds = [(np.arange(0, a - 12), np.arange(a, a + 500)) for a in (1100, 1600, 2100)]
    words = {"horizon": 15, "embargo": 150}
    make = Product if effect else lambda: Twin(penalties=(1.0,))
    return {"admitted": admit(make, X, y[:, None], position, folds, **words).admitted}


def trial(seed: int, number: int, days: int = 120) -> dict[str, Any]:
    """One world of each kind; every fourth is planted."""
    effect = 0.8 if number % PLANTED_EVERY == 0 else 0.0
    estimator = ("ridge", "boosting")[number % 2]
    return {
        "planted": bool(effect),
        "still": coverage(seed, estimator, 1.0, days),
        "drift": coverage(seed, estimator, DRIFT, days),
        "tuning": tuning(seed, effect),
        "admission": admission(seed, effect),
    }


def models_pieces(state: State) -> dict[str, Any]:
    """`state.size` worlds."""
    began = time.perf_counter()
    while len(state.trials) < state.size:
        state.add(trial(state.seed + len(state.trials), len(state.trials)))
    return summary(state.trials) | {"seconds": round(time.perf_counter() - began, 1)}


def summary(trials: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """wrong : of sets called better, those that are not. Noise and planted worlds together hold what both promise."""
    noise, planted = ([t for t in trials if t["planted"] == p] for p in (False, True))
    still, drift = ([t[k] for t in trials] for k in ("still", "drift"))
    called = [t for t in trials if t["tuning"]["called"]]
    wrong = sum(not t["tuning"]["is"] for t in called) / max(len(called), 1)
    allowed = LEVEL + 2 * (LEVEL * (1 - LEVEL) / max(len(noise), 1)) ** 0.5
    twins = sum(t["admission"]["admitted"] for t in noise) / max(len(noise), 1)
    found = {k: sum(t[k][v] for t in planted) / max(len(planted), 1)
             for k, v in (("tuning", "called"), ("admission", "admitted"))}  # fmt: skip
    out = {
        "covered_90": float(np.mean([c["walked"] for c in still])),
        "covered_90_least": min(c["walked"] for c in still),
        "covered_90_most": max(c["walked"] for c in still),
        "worst_cell": float(np.mean([c["worst"] for c in still])),
        "drift_walked": float(np.mean([c["walked"] for c in drift])),
        "drift_plain": float(np.mean([c["plain"] for c in drift])),
        "tuned_called": len(called),
        "tuned_wrong": wrong,
        "tuned_found": found["tuning"],
        "twins_admitted": twins,
        "right_admitted": found["admission"],
    }
    sound = abs(out["covered_90"] - 0.9) < 0.01 and 0.88 < out["covered_90_least"] <= out["covered_90_most"] < 0.92
    mended = abs(out["drift_walked"] - 0.9) < 0.02 and out["drift_plain"] < 0.75 and out["worst_cell"] < 0.05
    honest = wrong <= 0.1 and twins <= allowed and min(found.values()) >= 0.8
    return {"ok": bool(sound and mended and honest), "worlds": len(trials), **out}

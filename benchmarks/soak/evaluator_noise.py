"""Worlds without skill: the evaluator's intervals cover the truth, and nobody is told of a skill."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.soak.evaluator_world import HORIZONS, PAIRS, World, labels, ridge_rows, world
from benchmarks.soak.state import State
from bqx.research.evaluation.mechanical import change_r2, level_r2, simulated
from bqx.research.evaluation.rows import Rows
from bqx.research.evaluation.sums import times
from bqx.research.evaluation.target import TargetFound, TargetSums
from bqx.research.targets import HORIZONS as BQX

LOW, HIGH, MECHANICAL = 0.92, 0.975, 0.01
PAIR_COUNT, TRAIN, TEST, DRAWS, MECHANICAL_EVERY = 4, 12, 6, 1000, 4
TABLE = [(w, h) for w in BQX for h in BQX if w >= 30]


def noise(state: State) -> dict[str, Any]:
    """`state.size` worlds of four pairs, ridge of 20 columns, y3 and y4 in turn."""
    began = time.perf_counter()
    while len(state.trials) < state.size:
        number = len(state.trials)
        measured = number % MECHANICAL_EVERY == 0
        state.add(trial(state.seed * 100_000 + number, "y3" if number % 2 else "y4", mechanical=measured))
        if number % 20 == 19:
            print(f"{number + 1}: {coverage(state.trials)}", flush=True)
    return summary(state.trials) | {"seconds": round(time.perf_counter() - began, 1)}


def trial(
    seed: int, target: str, *, train: int = TRAIN, test: int = TEST, draws: int = DRAWS, mechanical: bool = True
) -> dict[str, Any]:
    """One world: pooled and cell intervals against the truth given the forecasts, p-values, mechanical R2."""
    w = world(seed, pairs=PAIR_COUNT, train_weeks=train, test_weeks=test)
    rows = [
        r for h in HORIZONS for r in ridge_rows(w, PAIRS[:PAIR_COUNT], target, h, seed, pooled=False, with_signal=False)
    ]
    found = judged(rows, target, (), draws)
    truths = [expected(w, r, target) for r in rows]
    weights = [1.0 / float((r.truth[target] ** 2).mean()) for r in rows]
    top, bottom = (sum(k * t[j] for k, t in zip(weights, truths, strict=True)) for j in (0, 1))
    walk, cells = found.pooled.walk, found.cells
    return {
        "target": target,
        "truth": -top / bottom,
        "skill": walk.skill,
        "covered": bool(walk.low <= -top / bottom <= walk.high),
        "cells": len(cells),
        "cells_covered": sum(
            c.found.walk.low <= -t[0] / t[1] <= c.found.walk.high for c, t in zip(cells, truths, strict=True)
        ),
        "demonstrated": bool(found.pooled.demonstrated),
        "quarantined": found.quarantined,
        "discoveries": sum(c.q_bh <= 0.05 for c in cells),
        "clark_west_05": sum(c.found.clark_west < 0.05 for c in cells),
        "signs_05": sum(c.signs is not None and c.signs.hac_p < 0.05 for c in cells),
        "noise_05": bool(found.pooled.noise.p < 0.05),
        "mechanical": [
            [simulated(w.noise, *wh)[0], simulated(w.noise, *wh, change=True)[0]] for wh in TABLE if mechanical
        ],
    }  # fmt: skip


def judged(rows: Sequence[Rows], target: str, benchmarks: tuple[str, ...], draws: int) -> TargetFound:
    """The evaluator on rows that never saw a disk."""
    sums = TargetSums(target, times([r.position for r in rows]), benchmarks, draws=draws, kinds=())
    for r in rows:
        sums.add(r)
    return sums.found()


def expected(w: World, rows: Rows, target: str) -> tuple[float, float]:
    """Sum of f^2, and of the variance of y given the path of volatility: noise knows nothing of f."""
    f = rows.forecasts[target]["model"]
    _, spread = labels(w, PAIRS.index(rows.pair), target, rows.horizon, rows.position)
    return float((f**2).sum()), float(spread.sum())


def coverage(trials: Sequence[dict[str, Any]]) -> str:
    """For people, while it runs."""
    share = float(np.mean([t["covered"] for t in trials]))
    return f"pooled {share:.3f}, cells {sum(t['cells_covered'] for t in trials) / sum(t['cells'] for t in trials):.3f}"


def summary(trials: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Pooled coverage and the mechanical table decide; nobody may be told of a skill more often than 1 in 40."""
    cells = sum(t["cells"] for t in trials)
    covered = float(np.mean([t["covered"] for t in trials]))
    mechanical = np.mean([t["mechanical"] for t in trials if t["mechanical"]], axis=0)
    closed = np.array([[level_r2(*wh), change_r2(*wh)] for wh in TABLE])
    worst = float(np.abs(mechanical - closed).max())
    told = float(np.mean([t["demonstrated"] for t in trials]))
    quarantined = sum(t["quarantined"] for t in trials)
    return {
        "ok": LOW <= covered <= HIGH and worst <= MECHANICAL and told <= 0.025 and quarantined == 0,
        "worlds": len(trials),
        "coverage_of_95_percent_intervals": covered,
        "coverage_by_target": {
            t: float(np.mean([x["covered"] for x in trials if x["target"] == t])) for t in {x["target"] for x in trials}
        },
        "coverage_of_cells": sum(t["cells_covered"] for t in trials) / cells,
        "mean_truth": float(np.mean([t["truth"] for t in trials])),
        "mean_skill": float(np.mean([t["skill"] for t in trials])),
        "told_of_skill": told,
        "quarantined": quarantined,
        "worlds_with_a_discovery": float(np.mean([t["discoveries"] > 0 for t in trials])),
        "clark_west_below_05": sum(t["clark_west_05"] for t in trials) / cells,
        "signs_below_05": sum(t["signs_05"] for t in trials) / cells,
        "sign_flips_below_05": float(np.mean([t["noise_05"] for t in trials])),
        "mechanical_r2_worst_difference": worst,
    }

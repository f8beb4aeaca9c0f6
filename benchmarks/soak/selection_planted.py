"""Planted columns beside near copies are found among 2,640, noise certifies no more than the bound allows."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.soak.selection_world import planted_sample
from benchmarks.soak.state import State
from bqx.research.candidates import candidates
from bqx.research.selection.fold import select_fold
from bqx.research.selection.options import Options

ROWS, TARGETS, R2, RECALL = 16_000, 5, 0.005, 0.9
"""Eight months of training rows, 15 bars apart."""


def planted(state: State) -> dict[str, Any]:
    """`state.size` worlds: five columns of R2 0.005 in every target, each beside five decoys of correlation 0.9.

    The first world is selected on 1 and on 4 workers. Certified columns that are neither planted nor decoys are false.
    """
    began = time.perf_counter()
    for number in range(len(state.trials), state.size):
        trial = world(state.seed * 1000 + number, twice=number == 0)
        state.add(trial)
        print(f"{number}: {trial['found']} of 5, {trial['false_certified']} false certified", flush=True)
    found = sum(t["found"] for t in state.trials) / (5 * len(state.trials))
    false = float(np.mean([t["false_certified"] for t in state.trials]))
    bound = state.trials[0]["bound"]
    same = all(t["same_on_4_workers"] is not False for t in state.trials)
    return {
        "ok": found >= RECALL and false <= bound and same,
        "worlds": len(state.trials),
        "rows": ROWS,
        "columns": len(candidates()),
        "r2": R2,
        "recall": found,
        "recall_wanted": RECALL,
        "certified_planted": sum(t["certified_planted"] for t in state.trials) / (5 * len(state.trials)),
        "false_certified_mean": false,
        "false_certified_bound": bound,
        "same_mask_on_1_and_4_workers": same,
        "core_seconds_a_selection": float(np.median([t["core_seconds"] for t in state.trials])),
        "seconds": round(time.perf_counter() - began, 1),
    }


def world(seed: int, *, twice: bool = False, rows: int = ROWS, options: Options | None = None) -> dict[str, Any]:
    """One world: how many of the five are selected, and what was certified."""
    p = planted_sample(rows, seed=seed, targets=TARGETS, r2=R2)
    digests = []
    began = time.process_time()
    for workers in (1, 4) if twice else (1,):
        mask = select_fold(
            p.X, p.Y, p.position, np.full(rows, 5000), np.full(rows, 10**6), candidates(), np.arange(rows),
            horizon=75, embargo=1440, options=options or Options(seed=seed), workers=workers,
        )  # fmt: skip
        digests.append(mask.digest)
    certified = mask.table["certified"].to_numpy()
    noise = np.setdiff1d(np.arange(len(certified)), [*p.planted, *p.decoys])
    return {
        "seed": seed,
        "found": int(mask.selected[list(p.planted)].sum()),
        "decoys": int(mask.selected[list(p.decoys)].sum()),
        "certified_planted": int(certified[list(p.planted)].sum()),
        "false_certified": int(certified[noise].sum()),
        "bound": mask.bound,
        "same_on_4_workers": digests[0] == digests[-1] if twice else None,
        "core_seconds": round((time.process_time() - began) / len(digests), 1),
    }

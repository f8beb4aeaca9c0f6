"""Which training minutes serve a forecast of 60 bars best: every h-th at a fixed phase, rotated, nearer, or all."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.soak.state import State
from bqx.research.training.phases import rotated

F8 = NDArray[np.float64]
HORIZON, COLUMNS, R2, DECAY, PENALTY = 60, 20, 0.01, 0.97, 0.1
TRAIN, TEST, PURGE = 4 * 31_680, 31_680, 1500
FIXED, SINGLE, CHOSEN, EVERY = "fixed phase", "rotated, 1 a label", "rotated, 3 a label", "every bar"


def train_phases(state: State) -> dict[str, Any]:
    """`state.size` worlds, half of them with full hours at which the planted column counts four times."""
    for number in range(len(state.trials), state.size):
        state.add(one_world(state.seed * 1000 + number, odd=number % 2 == 1))
    return judged(state.trials)


def judged(trials: list[dict[str, Any]]) -> dict[str, Any]:
    """Means, and mean differences with their standard errors."""
    out: dict[str, Any] = {}
    for odd in (False, True):
        mine = [t for t in trials if t["odd"] is odd]
        skills = {k: np.array([t["skill"][k] for t in mine]) for k in mine[0]["skill"]}
        out["full hours count more" if odd else "all minutes alike"] = {
            k: {"skill_percent": round(100 * float(v.mean()), 3), **_against(v - skills[SINGLE])}
            for k, v in skills.items()
        }
    plain, uneven = out["all minutes alike"], out["full hours count more"]
    gain = plain[CHOSEN]["more_than_rotated"]
    out["ok"] = bool(
        gain > 2 * plain[CHOSEN]["standard_error"]
        and plain[EVERY]["skill_percent"] - plain[CHOSEN]["skill_percent"] < gain
        and uneven[FIXED]["more_than_rotated"] < -2 * uneven[FIXED]["standard_error"]
    )
    return out


def _against(difference: F8) -> dict[str, float]:
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    return {
        "more_than_rotated": round(100 * float(difference.mean()), 3),
        "standard_error": round(100 * float(error), 3),
    }


def one_world(seed: int, *, odd: bool, train: int = TRAIN, test: int = TEST) -> dict[str, Any]:
    """Smooth columns, of which the first explains R2 of a label that overlaps as returns of 60 bars do."""
    X, y = world(seed, odd, train + test)
    at = np.arange(train - PURGE)
    sets = {
        FIXED: at % HORIZON == 0,
        SINGLE: rotated(at, HORIZON),
        CHOSEN: rotated(at, HORIZON // 3),
        EVERY: np.ones(len(at), bool),
    }
    late = np.arange(train, train + test, 15)
    skill = {}
    for name, taken in sets.items():
        rows = np.flatnonzero(taken)
        A = X[rows]
        coef = np.linalg.solve(A.T @ A + PENALTY * len(rows) * np.eye(COLUMNS), A.T @ y[rows])
        skill[name] = float(1.0 - ((y[late] - X[late] @ coef) ** 2).sum() / (y[late] ** 2).sum())
    return {"odd": odd, "skill": skill}


def world(seed: int, odd: bool, n: int) -> tuple[F8, F8]:
    """Columns (n, COLUMNS) and labels (n,)."""
    from scipy.signal import lfilter

    rng = np.random.default_rng(seed)
    shock = rng.normal(size=(n + 500, COLUMNS)) * np.sqrt(1 - DECAY**2)
    X = lfilter([1.0], [1.0, -DECAY], shock, axis=0)[500:]
    walk = np.cumsum(rng.normal(size=n + HORIZON))
    move = np.diff(np.r_[0.0, walk])  # one a bar
    total = np.convolve(move, np.ones(HORIZON), "valid")[1 : n + 1] / np.sqrt(HORIZON)
    beta = np.full(n, np.sqrt(R2))
    if odd:
        beta[np.arange(n) % 60 == 0] *= 4.0
    return X, np.sqrt(1 - R2) * total + beta * X[:, 0]

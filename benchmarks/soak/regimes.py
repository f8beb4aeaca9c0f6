"""Planted regimes are found and random walks have none: hidden Markov states on many simulated weeks."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.soak.state import State
from bqx.features.anchors import Anchors
from bqx.features.families.hmm_regime_states import compute
from bqx.features.families.hmm_regime_states_fit import REGIMES, observed
from bqx.features.streams import Streams
from bqx.market.calendar import Calendar, minute_of
from bqx.market.pairs import PAIRS
from bqx.market.panel import Panel

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
START = minute_of(datetime(2024, 1, 7, 22, tzinfo=UTC))
WEEK = 7200
LANES = 28
PROBABILITIES = tuple(f"hmm_p_{regime}_1m_rate" for regime in REGIMES)
STATE = "hmm_state_1m_rate"


def market(changes: F8) -> Streams:
    """Streams of the first pairs with the given changes (bps); every bar quoted, open at the last close."""
    calendar = Calendar.load()
    n, p = changes.shape
    grid = calendar.grid(START, calendar.at_ordinal(calendar.ordinal(START) + n))
    close = np.exp(np.cumsum(changes, axis=0) * 1e-4)
    open_ = np.vstack([np.ones((1, p)), close[:-1]])
    zero, minute = np.zeros((n, p), dtype=np.int32), grid.minute
    ends = np.full(p, minute[0]), np.full(p, minute[-1])
    high, low = np.maximum(open_, close), np.minimum(open_, close)
    return Streams(Panel(grid, PAIRS[:p], open_, high, low, close, high, zero, *ends), calendar, Anchors())


def planted(rows: int, lanes: int, seed: int) -> tuple[F8, I8]:
    """Changes of three regimes of 120 bars on average: calm (sd 0.5), trend (sd 0.5, drift 0.35 up or down) and shock
    (sd 2); which it is, (rows, lanes)."""
    rng = np.random.default_rng(seed)
    regime, side = np.zeros((rows, lanes), dtype=np.int64), np.ones(lanes)
    now = np.zeros(lanes, dtype=np.int64)
    out = np.empty((rows, lanes))
    for t in range(rows):
        leave = rng.random(lanes) < 1 / 120
        now = np.where(leave, (now + rng.integers(1, 3, lanes)) % 3, now)
        side = np.where(leave, rng.choice([-1.0, 1.0], lanes), side)
        regime[t] = now
        out[t] = np.where(now == 2, 2.0, 0.5) * rng.standard_normal(lanes) + np.where(now == 1, 0.35 * side, 0.0)
    return out, regime


def foresight(streams: Streams, shock: F8) -> F8:
    """For each lane sqrt(n) times the correlation of P(shock) and ln RV of the 15 bars after, every 60 bars."""
    later = np.roll(observed(streams, "rate")[0], -15, axis=0)
    later[-15:] = np.nan
    out = []
    for j in range(shock.shape[1]):
        a, b = shock[30::60, j], later[30::60, j]
        both = ~np.isnan(a) & ~np.isnan(b)
        out.append(np.corrcoef(a[both], b[both])[0, 1] * math.sqrt(both.sum()))
    return np.array(out)


def accuracy(state: F8, regime: I8) -> tuple[float, float]:
    """Shares of the bars of the week after the fit that are in their regime: of all, and of those 15 bars into it."""
    week = slice(4 * WEEK + 14, 5 * WEEK)
    age = np.zeros(regime.shape, dtype=np.int64)
    for r in range(1, len(regime)):
        age[r] = np.where(regime[r] == regime[r - 1], age[r - 1] + 1, 0)
    code = state[week]
    known = ~np.isnan(code)
    right = code == regime[week]
    return float(right[known].mean()), float(right[known & (age[week] >= 15)].mean())


def regimes(state: State) -> dict[str, Any]:
    """`state.size` trials of 28 planted and 28 random lanes, five weeks each: four for the fit, one to be told."""
    began = time.perf_counter()
    while len(state.trials) < state.size:
        state.add(trial(state.seed + len(state.trials)))
    told = [t["right"] for t in state.trials]
    tests = [abs(z) for t in state.trials for z in t["random_scores"]]
    found = [z for t in state.trials for z in t["planted_scores"]]
    size = sum(z > 1.96 for z in tests) / len(tests)
    error = math.sqrt(0.05 * 0.95 / len(tests))
    right = sum(told) / len(told)
    spread = math.sqrt(sum((t - right) ** 2 for t in told) / max(len(told) - 1, 1) / len(told))
    return {
        "ok": right - 2 * spread > 0.85 and min(found) > 5 and size < 0.05 + 4 * error,
        "right_mean": round(right, 4),
        "right_mean_error": round(spread, 4),
        "right_least": min(told),
        "right_settled_least": min(t["right_settled"] for t in state.trials),
        "planted_score_least": min(found),
        "random_beyond_1.96": size,
        "random_tests": len(tests),
        "seconds": round(time.perf_counter() - began, 1),
    }


def trial(seed: int, lanes: int = LANES) -> dict[str, Any]:
    """One planted and one random market."""
    changes, regime = planted(5 * WEEK, lanes, seed)
    streams = market(changes)
    found = compute(streams, "rate", [*PROBABILITIES, STATE])
    right, settled = accuracy(found[STATE], regime)
    walk = market(np.random.default_rng(seed).standard_normal((5 * WEEK, lanes)))
    shock = compute(walk, "rate", PROBABILITIES)[PROBABILITIES[2]]
    return {
        "right": right,
        "right_settled": settled,
        "planted_scores": [round(z, 3) for z in foresight(streams, found[PROBABILITIES[2]]).tolist()],
        "random_scores": [round(z, 3) for z in foresight(walk, shock).tolist()],
    }

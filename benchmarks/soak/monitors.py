"""Monitors on simulated months: silent while nothing changes, and how soon they find what does."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.soak.state import State
from bqx.serve.monitor import abtest, cusum, drift
from bqx.serve.monitor.histograms import day_counts, edges
from bqx.serve.monitor.sequential import mean_sequence
from bqx.serve.monitor.settings import DriftSettings, PerformanceSettings

F8 = NDArray[np.float64]
F4 = NDArray[np.float32]
REFERENCE, LATER = 60, 44
"""Trade days: two months are watched after the reference."""
MONTH = 22
BARS = 288
"""Rows a day: bars of 5 minutes stand for minutes, with windows a fifth as long."""
WIDTHS = (3, 12, 48)
FEATURES = 60
DOMAINS = {"rate": np.arange(0, FEATURES // 2), "bqx": np.arange(FEATURES // 2, FEATURES)}
FAULT = 22
"""Day of the watched ones from which the planted fault is there."""
DELAYS = {"drift": 7, "loss": 15}
"""Trade days in which a planted fault is found."""


def features(days: int, rng: np.random.Generator) -> list[F4]:
    """Moving sums of 3, 12 and 48 rows over noises that share a common part, (days, BARS) each: dependent in time and
    on one another, with volatility that changes from day to day."""
    n = days * BARS + max(WIDTHS)
    level = np.zeros(days + 2)
    for d in range(1, days + 2):
        level[d] = 0.6 * level[d - 1] + 0.15 * rng.standard_normal()
    volatility = np.exp(np.repeat(level, BARS)[:n])
    common = rng.standard_normal(n)
    out = []
    for k in range(FEATURES):
        w = WIDTHS[k % len(WIDTHS)]
        noise = volatility * (0.6 * common + 0.8 * rng.standard_normal(n))
        sums = np.cumsum(np.r_[0.0, noise])
        x = (sums[w:] - sums[:-w])[: days * BARS] / math.sqrt(w)
        out.append(x.astype(np.float32).reshape(days, BARS))
    return out


def counts(values: list[F4], inner: list[F8]) -> F8:
    """(days, features, bins)."""
    days = np.arange(len(values[0]))
    day = np.repeat(days, BARS)
    return np.stack([day_counts(x.ravel(), day, days, e) for x, e in zip(values, inner, strict=True)], axis=1)


def alarms(found: drift.Calibrated, watched: F8, limit: float) -> dict[str, list[int]]:
    """Days at which each domain is at or above the limit, looked at every day."""
    out: dict[str, list[int]] = {name: [] for name in found.domains}
    for end in range(found.window, len(watched) + 1):
        for d in drift.judge(found, watched[end - found.window : end])[0]:
            if d.score >= limit:
                out[d.domain].append(end - 1)
    return out


def autoregressive(n: int, rho: float, rng: np.random.Generator) -> F8:
    """Days of a loss differential: heavy tails, memory from day to day."""
    x = np.zeros(n + 50)
    shocks = rng.standard_t(5, n + 50)
    for t in range(1, n + 50):
        x[t] = rho * x[t - 1] + shocks[t]
    return x[50:]


def drift_trial(seed: int) -> dict[str, Any]:
    """Days of false alarm in two clean months (one that stays is sent again daily); days until a shift of 0.8
    deviations in a third of a domain is found."""
    rng = np.random.default_rng(seed)
    settings = DriftSettings()
    values = features(REFERENCE + LATER, rng)
    inner = [edges(x[:REFERENCE].ravel()) for x in values]
    found = drift.calibrate(counts([x[:REFERENCE] for x in values], inner), DOMAINS, draws=settings.draws, seed=seed)
    later = [x[REFERENCE:].copy() for x in values]
    clean = alarms(found, counts(later, inner), settings.score)
    for k in DOMAINS["bqx"][::3]:
        later[k][FAULT:] += np.float32(0.8) * later[k][:FAULT].std()
    faulty = alarms(found, counts(later, inner), settings.score)
    after = [d for d in faulty["bqx"] if d >= FAULT]
    return {
        "false_alarms": sum(len(d) for d in clean.values()),
        "delay": after[0] - FAULT + 1 if after else None,
        "other_domain": sum(d >= FAULT for d in faulty["rate"]),
    }


def loss_trial(seed: int) -> dict[str, Any]:
    """Days to a false alarm of one CUSUM over two years at most, and to a rise of 2 deviations."""
    rng = np.random.default_rng(seed)
    arl = PerformanceSettings().arl
    reference = autoregressive(120, 0.3, rng)
    limit = cusum.calibrate(reference, arl=arl, draws=100, seed=seed)
    first = cusum.first_alarm(autoregressive(500, 0.3, rng), limit)
    broken = autoregressive(60, 0.3, rng) + 2.0 * math.sqrt(5 / 3 / (1 - 0.3**2))
    found = cusum.first_alarm(broken, limit)
    return {"run": 500 if first is None else first + 1, "ended": first is not None,
            "rise": None if found is None else found + 1}  # fmt: skip


def sequential_trial(seed: int) -> dict[str, Any]:
    """Whether a year of daily looks calls an A/B test without difference, and an edge of zero; and a real one."""
    rng = np.random.default_rng(seed)
    days, pairs = np.arange(250), [f"p{i}" for i in range(8)]
    common = rng.standard_t(4, 250)
    outcome = {p: common + rng.standard_t(4, 250) for p in pairs}
    better = {p: x + np.array([abtest.variant("s", d, p) == "A" for d in days.tolist()]) for p, x in outcome.items()}
    return {"ab_wrong": abtest.verdict(f"s{seed}", outcome, days).verdict != "open",
            "edge_wrong": mean_sequence(common).verdict != "open",
            "ab_found": abtest.verdict("s", better, days).verdict == "above"}  # fmt: skip


def trial(seed: int) -> dict[str, Any]:
    return {"drift": drift_trial(seed), "loss": loss_trial(seed), "sequential": sequential_trial(seed)}


def monitors(state: State) -> dict[str, Any]:
    """`state.size` worlds of two watched months each."""
    began = time.perf_counter()
    while len(state.trials) < state.size:
        state.add(trial(state.seed + len(state.trials)))
    return {**summary(state.trials), "seconds": round(time.perf_counter() - began, 1)}


def summary(trials: list[dict[str, Any]]) -> dict[str, Any]:
    """False alarms of a month: of drift, and of three CUSUMs by the mean run length (runs cut at two years count as
    if they had ended there, which is too short)."""
    n = len(trials)
    months = n * LATER / MONTH
    drift_rate = sum(t["drift"]["false_alarms"] for t in trials) / months
    ended = sum(t["loss"]["ended"] for t in trials)
    length = sum(t["loss"]["run"] for t in trials) / max(ended, 1)
    delays = [t["drift"]["delay"] for t in trials]
    rises = [t["loss"]["rise"] for t in trials]
    wrong = {k: sum(t["sequential"][k] for t in trials) / n for k in ("ab_wrong", "edge_wrong")}
    total = drift_rate + 3 * MONTH / length
    late = {"drift": sum(d is None or d > DELAYS["drift"] for d in delays),
            "loss": sum(r is None or r > DELAYS["loss"] for r in rises)}  # fmt: skip
    size = 0.05 + 3 * math.sqrt(0.05 * 0.95 / n)
    return {
        "ok": total <= 1.0 and length >= 90.0 and max(late.values()) <= 0.1 * n and max(wrong.values()) <= size,
        "worlds": n,
        "false_alarms_a_month": round(total, 3),
        "false_alarms_a_month_of_drift": round(drift_rate, 3),
        "days_to_a_false_alarm_of_a_cusum": round(length, 1),
        "drift_delay_median": float(np.median([d for d in delays if d is not None])) if any(delays) else None,
        "loss_delay_median": float(np.median([r for r in rises if r is not None])) if any(rises) else None,
        "found_late_or_never": late,
        "sequential_wrong": wrong,
        "ab_found": sum(t["sequential"]["ab_found"] for t in trials) / n,
    }

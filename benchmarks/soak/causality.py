"""False discoveries where there is nothing to find, planted links found, 756 Granger questions against the clock."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.soak.causality_world import Plant, asked, world
from benchmarks.soak.state import State
from bqx.market.calendar import Calendar, minute_of
from bqx.market.pairs import PAIRS
from bqx.market.simulated import simulate
from bqx.research.causality.fdr import benjamini_hochberg, benjamini_yekutieli
from bqx.research.causality.granger import granger, own_order
from bqx.research.causality.granger_fold import GrangerFold
from bqx.research.causality.hac import bandwidth
from bqx.research.causality.links import Link
from bqx.research.causality.series import Series, from_bars, lead
from bqx.research.split_plan import FoldSpan

Q = 0.05
STEPS, FEW, TE_EVERY, PLANTED_EVERY = 2400, 6, 8, 40
PLANTS: tuple[Plant, ...] = ((0, 3, 1, 0.5), (5, 2, 2, -0.5), (4, 1, 1, 0.5))
MONTH = minute_of(datetime(2024, 1, 7, 22, tzinfo=UTC)), minute_of(datetime(2024, 2, 9, 22, tzinfo=UTC))
SECONDS = 300.0


def null_trial(seed: int, te: bool, steps: int = STEPS, pairs: int = FEW, budget: float = 7.0) -> dict[str, Any]:
    """A world without links: discoveries by family and method, and how many bare p are below q."""
    methods = ("granger", "te") if te else ("granger",)
    with tempfile.TemporaryDirectory(prefix="bqx-soak-") as folder:
        found = asked(world(steps, pairs, seed), Path(folder), budget=budget, draws=199, seed=seed, methods=methods)
    out: dict[str, Any] = {"questions": len(found.links), "bare": sum(link.p < Q for link in found.links)}
    for method in ("family", *methods):
        p = [link.p for link in found.links if method in ("family", link.method)]
        out[f"{method}_bh"] = int((benjamini_hochberg(p) <= Q).sum())
        out[f"{method}_by"] = int((benjamini_yekutieli(p) <= Q).sum())
    return out | {"kept": len(found.kept)}


def planted_trial(seed: int, steps: int = STEPS, pairs: int = FEW, budget: float = 8.0) -> dict[str, Any]:
    """Three links: which were kept, and what was kept of targets that nothing leads."""
    with tempfile.TemporaryDirectory(prefix="bqx-soak-") as folder:
        found = asked(world(steps, pairs, seed, PLANTS), Path(folder), budget=budget, draws=199, seed=seed)
    led = {PAIRS[target] for _, target, _, _ in PLANTS}
    return {
        "granger": sum(_is(link, "granger") for link in found.kept),
        "te": sum(_is(link, "te") for link in found.kept),
        "kept": len(found.kept),
        "false": sum(link.target not in led for link in found.kept),
    }


def _is(link: Link, method: str) -> bool:
    """A planted link, with its lag and sign."""
    return link.method == method and any(
        (link.source, link.target, link.lag, link.sign) == (PAIRS[a], PAIRS[b], lag, int(np.sign(share)))
        for a, b, lag, share in PLANTS
    )


def fdr(state: State) -> dict[str, Any]:
    """`state.size` null worlds: Granger on each, transfer entropy on every eighth; each fortieth planted too."""
    began = time.perf_counter()
    while len(state.trials) < state.size:
        number = len(state.trials)
        planted = planted_trial(state.seed + number) if number % PLANTED_EVERY == 0 else None
        state.add({**null_trial(state.seed + number, number % TE_EVERY == 0), "planted": planted})
    return summary(state.trials) | {"seconds": round(time.perf_counter() - began, 1)}


def summary(trials: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Without links every discovery is false, so the false discovery rate is the share of worlds that have any."""
    rate = {}
    for name in (f"{m}_{c}" for m in ("family", "granger", "te") for c in ("bh", "by")):
        asked_of = [t for t in trials if name in t]
        rate[name] = sum(t[name] > 0 for t in asked_of) / max(len(asked_of), 1)
    planted = [t["planted"] for t in trials if t["planted"]]
    recall = {m: sum(t[m] for t in planted) / (len(PLANTS) * max(len(planted), 1)) for m in ("granger", "te")}
    false = sum(t["false"] for t in planted) / max(sum(t["kept"] for t in planted), 1)
    bare = sum(t["bare"] > 0 for t in trials) / len(trials)
    sound = all(r <= Q for r in rate.values()) and bare > 3 * Q
    return {
        "ok": sound and recall["granger"] >= 0.9 and recall["te"] >= 0.5 and false <= Q,
        "null_worlds": len(trials),
        "with_transfer_entropy": sum("te_by" in t for t in trials),
        "false_discovery_rate": rate,
        "null_worlds_with_a_bare_p_below_q": bare,
        "kept_in_null_worlds": sum(t["kept"] for t in trials),
        "planted_worlds": len(planted),
        "planted_recall": recall,
        "planted_false_share": false,
    }


def month(pairs: Sequence[str]) -> Series:
    """1-minute returns of five simulated weeks."""
    calendar = Calendar.load()
    begin = lead(calendar, MONTH[0])
    bars = simulate(calendar, begin, MONTH[1], seed=3, pairs=pairs, origin_minute=begin)
    return from_bars(bars, calendar, ["return_1"], *MONTH)[0]


def against_statsmodels(series: Series, questions: int, seed: int) -> float:
    """Largest relative difference of F and HAC Wald from statsmodels, same rows, questions drawn at random."""
    import statsmodels.api as sm

    last = int(series.position[-1]) + 1
    fold = GrangerFold(series, FoldSpan(0, int(series.position[0]), last, last, last), 30, 99, seed)
    rng, names, worst = np.random.default_rng(seed), series.names, 0.0
    data = fold.data
    for _ in range(questions):
        x, y = rng.choice(len(names), 2, replace=False)
        controls = fold.controls(names[y])
        fit = granger(data, int(y), int(x), controls, own_order(data, int(y), controls, 30), 30)
        assert fit is not None
        X = data.block([*fit.base, *fit.source])
        model = sm.OLS(data.block([data.at(int(y), 0)])[:, 0], X)
        test = np.eye(X.shape[1])[len(fit.base) :]
        plain = float(model.fit().f_test(test).fvalue)
        robust = model.fit(cov_type="HAC", cov_kwds={"maxlags": bandwidth(len(X))}, use_t=True).f_test(test)
        worst = max(worst, abs(fit.answer.f / plain - 1), abs(fit.answer.wald / float(robust.fvalue) - 1))
    return worst


def clock(state: State) -> dict[str, Any]:
    """All directed pairs of `state.size` pairs, every fold, two workers; a trial is a whole run."""
    series = month(PAIRS[: state.size])
    if not state.trials:
        with tempfile.TemporaryDirectory(prefix="bqx-soak-") as folder:
            began = time.perf_counter()
            found = asked(series, Path(folder), workers=2, methods=("granger",))
            state.add({
                "elapsed": round(time.perf_counter() - began, 1),
                "core_seconds_of_parts": round(found.seconds, 1),
                "questions": len(found.links),
                "folds": len(found.kinds["return_1"]["folds"]),
                "rows": max(link.rows for link in found.links),
                "kept": len(found.kept),
                "load_average": round(os.getloadavg()[0], 1),
            })  # fmt: skip
    trial = state.trials[0]
    worst = against_statsmodels(series, 20, state.seed)
    return {"ok": trial["elapsed"] < SECONDS and worst < 1e-6, **trial, "worst_difference_from_statsmodels": worst}

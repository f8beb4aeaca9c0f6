"""The small siblings of `make soak CHECK=causality-fdr` and `causality-clock`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from benchmarks.soak.causality import PLANTS, Q, against_statsmodels, fdr, month, null_trial, summary
from benchmarks.soak.causality_world import asked
from benchmarks.soak.state import State


def test_forty_null_worlds(results: Path, tmp_path: Path) -> None:
    """Granger on 40 worlds of 4 pairs, transfer entropy on 4 of them, one planted twin as in the soak: discoveries in
    at most q of them, though many have a p below q; and a table that took bare p would not pass."""
    small = {"steps": 2400, "pairs": 4, "budget": 3.0}
    trials = [{**null_trial(seed, seed % 10 == 0, **small), "planted": None} for seed in range(40)]
    state = State("causality-fdr", 0, 40, trials[1:])
    trials[0]["planted"] = {"granger": 3, "te": 3, "kept": 6, "false": 0}
    state.trials.insert(0, trials[0])
    found = fdr(state)
    assert found["null_worlds"] == 40
    assert found["with_transfer_entropy"] == 4
    assert all(rate <= Q for rate in found["false_discovery_rate"].values()), found
    assert found["kept_in_null_worlds"] == 0
    assert found["ok"]
    bare = [{**t, "family_bh": t["bare"]} for t in trials]
    assert not summary(bare)["ok"], "what a scan without control would claim"
    lost = [{**t, "planted": t["planted"] and {**t["planted"], "granger": 2}} for t in trials]
    assert not summary(lost)["ok"], "a planted link that is not found"
    assert len(PLANTS) == 3


def test_statistics_of_simulated_bars_equal_statsmodels(tmp_path: Path) -> None:
    """Three pairs of a triangle, 1-minute returns: F and HAC Wald; no link, for the gap takes rounding away."""
    series = month(("eurjpy", "eurusd", "usdjpy"))
    series = series.rows(int(series.position[0]), int(series.position[0]) + 14_400)
    assert against_statsmodels(series, 2, 1) < 1e-6
    options = {"methods": ("granger",), "draws": 99, "max_order": 5}
    given = asked(series, tmp_path / "a", **options)
    assert np.isfinite([link.p for link in given.links]).all()
    assert not [link for link in given.links if link.q_by <= Q]

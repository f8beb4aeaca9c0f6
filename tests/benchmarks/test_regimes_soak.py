"""The small sibling of `make soak CHECK=regimes`: planted regimes and random walks, one seed each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from benchmarks.soak.regimes import PROBABILITIES, WEEK, accuracy, foresight, market, planted, regimes, trial
from benchmarks.soak.state import State

from bqx.features.families.hmm_regime_states import compute
from bqx.features.families.hmm_regime_states_fit import FITS, REGIMES
from bqx.features.fits import fitted

RATE = FITS["1m", "rate"]


def test_planted_regimes_are_found() -> None:
    """12 lanes, the week after a fit: at least 85 % of the bars in their regime, 92 % of those 15 bars into it, 75 % in
    each; P(shock) tells the next quarter of an hour's volatility in every lane, by 7 standard errors or more."""
    changes, regime = planted(5 * WEEK, 12, seed=11)
    streams = market(changes)
    found = compute(streams, "rate", [*PROBABILITIES, "hmm_state_1m_rate", "hmm_state_5m_rate"])
    right, settled = accuracy(found["hmm_state_1m_rate"], regime)
    assert right > 0.85
    assert settled > 0.92
    assert accuracy(found["hmm_state_5m_rate"], regime)[0] > 0.75
    known = ~np.isnan(found["hmm_state_1m_rate"][4 * WEEK :])
    assert known.mean() > 0.99
    for k in range(3):
        is_so = known & (regime[4 * WEEK :] == k)
        assert (found["hmm_state_1m_rate"][4 * WEEK :] == k)[is_so].mean() > 0.75, REGIMES[k]
    assert (foresight(streams, found["hmm_p_shock_1m_rate"]) > 7).all()
    values = fitted(RATE, streams, 4 * WEEK)
    rv = values[:, :3]
    np.testing.assert_allclose(np.exp(rv[:, 2] - rv[:, 0]), 4.0, rtol=0.15)


def test_size_on_a_random_walk() -> None:
    """28 lanes without regimes: P(shock) tells nothing of the next 15 bars (7 % of 112 beyond 1.96, 5 % are due), and
    the three states are slices of one distribution, no more than a factor 1.8 of volatility apart (planted: 4)."""
    changes = np.random.default_rng(12).standard_normal((5 * WEEK, 28))
    streams = market(changes)
    found = compute(streams, "rate", PROBABILITIES)
    score = foresight(streams, found["hmm_p_shock_1m_rate"])
    assert (np.abs(score) > 1.96).sum() <= 4
    assert np.abs(score).max() < 4
    values = fitted(RATE, streams, 4 * WEEK)
    assert np.exp(values[:, 2] - values[:, 0]).max() < 1.8


def test_soak(results: Path) -> None:
    """Two trials, one of which an earlier call has finished."""
    state = State("regimes", 5, 2)
    state.trials.append(trial(5, 4))
    result = regimes(state)
    assert result["ok"], result
    assert result["random_tests"] == 4 + 28
    assert result["right_least"] > 0.85
    state = State("regimes", 5, 1, [{**trial(5, 4), "planted_scores": [0.1]}])
    assert not regimes(state)["ok"], "regimes that foretell nothing"

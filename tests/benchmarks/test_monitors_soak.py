"""The small sibling of the soak `monitors`, and what makes it fail."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from benchmarks.soak.state import State

from bqx.serve.monitor import drift
from bqx.serve.monitor.settings import DriftSettings

monitors: Any = importlib.import_module("benchmarks.soak.monitors")


def test_silent_months_and_found_faults(results: Path) -> None:
    found = monitors.monitors(State.load("monitors", 1, 3))
    assert found["ok"], found
    assert found["false_alarms_a_month"] <= 1.0 and found["drift_delay_median"] <= 7


def test_a_usual_threshold_cries_wolf(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: an alarm for any domain with a column whose PSI of a day is above 0.1."""
    settings = DriftSettings(window=1, score=0.1, draws=199)
    judge = drift.judge

    def rule(found: Any, counts: Any) -> Any:
        domains, p = judge(found, counts)
        return [type(d)(d.domain, d.features, d.worst_psi, d.p, d.drifted, d.worst, d.worst_psi) for d in domains], p

    calibrate = drift.calibrate
    monkeypatch.setattr(monitors, "DriftSettings", lambda: settings)
    monkeypatch.setattr(drift, "judge", rule)
    monkeypatch.setattr(drift, "calibrate", lambda *a, **k: calibrate(*a, **{**k, "window": 1}))
    calm = {"run": 500, "ended": False, "rise": 3}
    right = {"ab_wrong": False, "edge_wrong": False, "ab_found": True}
    trials = [{"drift": monitors.drift_trial(1), "loss": calm, "sequential": right}]
    assert not monitors.summary(trials)["ok"] and trials[0]["drift"]["false_alarms"] > 40


def test_a_limit_that_is_too_low_is_seen() -> None:
    """The planted fault: CUSUMs that end after 40 days."""
    calm = {"false_alarms": 0, "delay": 3, "other_domain": 0}
    right = {"ab_wrong": False, "edge_wrong": False, "ab_found": True}
    trials = [{"drift": calm, "loss": {"run": 40, "ended": True, "rise": 3}, "sequential": right}] * 10
    found = monitors.summary(trials)
    assert not found["ok"] and found["days_to_a_false_alarm_of_a_cusum"] == 40.0
    assert monitors.summary([{**t, "loss": {**t["loss"], "run": 400}} for t in trials])["ok"]

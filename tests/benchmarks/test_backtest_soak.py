"""The small sibling of `make soak CHECK=backtest`."""

from __future__ import annotations

from benchmarks.soak.backtest import summary, world

SMALL = {"pairs": ("eurusd",), "horizons": (60,), "weeks": 6}


def test_two_worlds_and_planted_faults() -> None:
    """Skill passes, noise does not; the reference's inverted rule, noise that earns, and a bound that always lies above
    0 do not pass as sound."""
    trials = [world(seed, **SMALL) for seed in (1, 2)]
    found = summary(trials)
    assert found["ok"], found
    assert all(t["planted"]["trades"] > 300 for t in trials)
    inverted = world(1, sign=-1.0, **SMALL)
    assert not inverted["planted"]["gate4"]
    assert inverted["planted"]["sharpe"] < 0
    assert not summary([inverted, trials[1]])["ok"]
    lucky = [{**t, "noise": t["planted"]} for t in trials]
    assert not summary(lucky)["ok"]
    biased = [{**t, "noise_free": {**t["noise_free"], "low90": 0.1}} for t in trials]
    assert not summary(biased * 20)["ok"]

"""The comparison compares like with like, sees lost digits, and its page says what the results say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.kernels.accuracy import digits_lost, worlds
from benchmarks.kernels.bars import Lane, walk
from benchmarks.kernels.case import Case
from benchmarks.kernels.cases import CASES
from benchmarks.kernels.run import Result, run, verdict
from benchmarks.kernels.timing import Contender, measure

from benchmarks import page

MOMENTS = next(c for c in CASES if c.name.startswith("mean, deviation, skew"))


@pytest.fixture(scope="module")
def world() -> dict[str, Any]:
    return worlds()


@pytest.mark.parametrize("case", [c for c in CASES if c.exact], ids=lambda c: c.name)
def test_everybody_computes_the_same_quantity(case: Case, world: dict[str, Any]) -> None:
    """On an easy input all contenders have at least four digits of the definition, and ours ten."""
    easy = {"returns": world["returns"]} if "returns" not in case.skip else {"level 1.1": world["level 1.1"]}
    for by in digits_lost(case, easy, samples=3).values():
        assert set(by) == {"ours", *case.peers}
        assert max(by["ours"].values()) <= 6.0
        assert {who: lost for who, lost in by.items() if max(lost.values()) > 12.0} == {}


def test_running_sums_are_seen_to_lose_digits(world: dict[str, Any]) -> None:
    """A planted mistake: moments from sums of raw powers."""

    def naive(bars: Any) -> Any:
        x = bars.y[:, 0]
        q1, q2, q3, q4 = ((np.cumsum(x**k)[60:] - np.cumsum(x**k)[:-60]) / 60 for k in (1, 2, 3, 4))
        m2, m3 = q2 - q1**2, q3 - 3 * q1 * q2 + 2 * q1**3
        m4 = q4 - 4 * q1 * q3 + 6 * q1**2 * q2 - 3 * q1**4
        g1, g2 = m3 / np.abs(m2) ** 1.5, m4 / m2**2 - 3
        skew, kurt = g1 * np.sqrt(60 * 59) / 58, 59 / (58 * 57) * (61 * g2 + 6)
        return tuple(v[:, None] for v in (q1, np.sqrt(np.abs(m2) * 60 / 59), skew, kurt))

    found = digits_lost(replace(MOMENTS, ours=naive, peers={}), {"level 150": world["level 150"]}, samples=6)
    lost = found["level 150"]["ours"]
    assert lost["mean"] < 4.0
    assert lost["skew"] > 14.0
    honest = digits_lost(replace(MOMENTS, peers={}), {"level 150": world["level 150"]}, samples=6)["level 150"]["ours"]
    assert max(honest.values()) < 7.0


def test_a_value_missing_loses_all_digits(world: dict[str, Any]) -> None:
    case = replace(MOMENTS, ours=lambda b: (np.full_like(b.y, np.nan),) * 4, peers={})
    lost = digits_lost(case, {"returns": world["returns"]}, samples=2)["returns"]["ours"]
    assert set(lost.values()) == {16.0}


def test_turns_and_values() -> None:
    """Everybody has as many turns, one after the other; times are a value, not a call."""
    wide, order = walk(300, 3), []
    case = Case("g", "n", 2, lambda b: order.append(f"ours {b.y.shape[1]}"), {"numpy": lambda v: order.append("numpy")})
    lanes = [Lane(wide, j) for j in range(3)]
    found = measure(case, wide, wide, lanes, rounds=4)
    assert set(found) == {"ours", "ours, gaps", "ours, one pair", "numpy", "copy"}
    assert order.count("ours 3") == 2 * (1 + 4)
    assert order.count("numpy") == 3 * (1 + 4) + 2
    last = [k for k, who in enumerate(order) if who == "numpy"][-3:]
    assert last == list(range(last[0], last[0] + 3)), "pairs of one contender follow each other"
    turn = Contender("x", lambda: sum(range(100_000)), 1_000)
    for _ in range(3):
        turn.run()
    assert 100 < turn.summary()["cpu_ns"] < 100_000


def test_walk_has_weeks_and_gaps() -> None:
    bars = walk(12_000, 2, gaps=0.05)
    assert (bars.age == 0).sum() >= 2
    assert 0.02 < np.isnan(bars.y).mean() < 0.08
    assert np.isnan(bars.y).any(axis=1).sum() > np.isnan(bars.y).all(axis=1).sum()
    good = ~np.isnan(bars.y)
    assert (bars.high[good] >= bars.y[good]).all()
    assert (bars.low[good] <= bars.y[good]).all()


def times(**cpu: float) -> dict[str, dict[str, float]]:
    return {k.replace("_", ", ").replace("TA", "TA-Lib"): {"cpu_ns": v} for k, v in cpu.items()}


def test_verdict_and_ratios() -> None:
    found = verdict(times(ours=6.0, **{"ours_one pair": 30.0}, TA=2.0, polars=5.0, pandas=9.0, copy=1.0))
    assert (found["fastest_peer"], found["ratio"], found["ratio_one_pair"]) == ("TA-Lib", 3.0, 15.0)
    assert found["beats_frames"] is False
    case = {
        "times": times(ours=6.0, TA=2.0, polars=5.0),
        "digits_lost": {"level 150": {"ours": {"v": 1.0}, "TA-Lib": {"v": 15.0}, "polars": {"v": 3.0}}},
    }
    assert page.right_ratio(case) == 1.2, "TA-Lib is quicker, and wrong there"
    other = {"values": 3, "ratio": 0.5, "fastest_peer": "polars", "times": times(ours=1.0, polars=2.0)}
    pair = [{"values": 1, "ratio": 3.0, "fastest_peer": "TA-Lib", "times": case["times"]}, other]
    assert page.group_ratio(pair) == round((6.0 + 3.0) / (2.0 + 6.0), 2)
    assert page.group_ratio([]) is None


def test_a_run_and_its_page(tmp_path: Path) -> None:
    result = run(quick=True, only="RSI 14", say=lambda _: None)
    assert [c["name"] for c in result.data["cases"]] == ["RSI 14"]
    assert {"commit", "date", "machine", "versions", "size"} <= set(result.data)
    assert "node" not in json.dumps(result.data["machine"])
    result.write(tmp_path / "kernels.json")
    text = page.page(tmp_path)
    ours = result.data["cases"][0]["times"]["ours"]["cpu_ns"]
    assert f"| RSI 14 | {ours:.1f} |" in text
    assert result.data["date"] in text
    assert "python -m benchmarks.kernels" in text
    slow = json.loads(json.dumps(result.data))
    slow["cases"][0].update(ratio=3.5, beats_frames=False)
    Result(slow).write(tmp_path / "kernels.json")
    assert "slower: RSI 14 (3.5)" in page.page(tmp_path)
    assert "kept." in text
    assert "Pandas or polars is faster at: RSI 14" in page.page(tmp_path)


def test_the_page_is_what_the_results_say() -> None:
    assert page.main(["--check"]) == 0


def test_the_costliest_datasets_come_first() -> None:
    """By columns times cost, not by cost."""
    columns = [{"dataset": "wide"}] * 3 + [{"dataset": "narrow"}]
    costs = {"wide": {"compute_ns": 10.0, "write_ns": 2.0}, "narrow": {"compute_ns": 20.0, "write_ns": 6.0}}
    machine = {"cores": 2, "system": "any", "arch": "any", "python": "3.11"}
    made = {"commit": "0" * 40, "machine": machine, "pairs": 2, "columns": columns, "costs": {"datasets": costs}}
    text = "\n".join(page.values_alone(made))
    assert "On average 12.5 core-nanoseconds" in text and "and 3.0 to encode" in text
    assert text.index("| wide | 3 | 10.0 | 60 % |") < text.index("| narrow | 1 | 20.0 | 40 % |")

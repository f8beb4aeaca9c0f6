"""The table counts only peers that are as accurate, and says which groups keep the bars."""

from __future__ import annotations

from typing import Any

from benchmarks import table


def case(group: str, name: str, times: dict[str, float], lost: dict[str, float], values: int = 1) -> dict[str, Any]:
    digits = {"returns": {who: {"value": n} for who, n in lost.items()}} if lost else {}
    return {"group": group, "name": name, "values": values, "digits_lost": digits,
            "times": {who: {"cpu_ns": ns} for who, ns in times.items()}}  # fmt: skip


WRONG = case("A", "x", {"ours": 4.0, "ours, one pair": 9.0, "TA-Lib": 1.0, "pandas": 8.0},
             {"ours": 1.0, "TA-Lib": 5.0, "pandas": 1.4})  # fmt: skip
EXACT = case("B", "y", {"ours": 2.0, "ours, one pair": 3.0, "TA-Lib": 1.0}, {})
NOBODY = case("C", "z", {"ours": 2.0, "ours, one pair": 3.0, "numbagg": 1.0}, {"ours": 0.2, "numbagg": 9.0})


def test_a_fast_peer_that_is_wrong_does_not_count() -> None:
    assert table.fair(WRONG) == ["pandas"] and table.ratios([WRONG]) == (0.5, 1.12)
    assert table.fair(EXACT) == ["TA-Lib"] and table.ratios([EXACT]) == (2.0, 3.0)
    assert table.ratios([NOBODY]) is None


def test_a_group_is_weighed_by_its_values() -> None:
    many = {**WRONG, "values": 3}
    assert table.ratios([many, EXACT]) == (round((3 * 4 + 2) / (3 * 8 + 1), 2), round((3 * 9 + 3) / (3 * 8 + 1), 2))


def test_bars_and_cells() -> None:
    lines = table.bars([WRONG, EXACT, NOBODY])
    assert lines[2] == "| A | 0.50 | 1.12 |  |"
    assert lines[3].startswith("| B | **2.00** | **3.00** | no reason found yet; one pair:")
    assert lines[4] == "| C | – | – | no peer is as accurate |"
    assert lines[-1].startswith("1 of 2 groups keep both bars")
    assert table.table([WRONG])[2] == "| x | 4.0 / 1.0 | 9.0 | 1.0 / 5.0 | 8.0 / 1.4 |"

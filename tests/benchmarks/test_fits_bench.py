"""The bench of fits adds up what it measured, and says which fits two pairs do not allow."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.fits import measure


def test_seconds_of_a_year_add_up(tmp_path: Path) -> None:
    found = measure(tmp_path, ("eurusd", "usdjpy"))
    made = {row["fit"]: row for row in found["fits"] if row["made"]}
    assert {"hmm_1m_rate", "hmm_1m_bqx", "hmm_5m_rate", "hmm_5m_bqx"} <= made.keys()
    assert not {"pc1_rate", "pc1_bqx"} & made.keys(), "a component of the panel needs 20 pairs"
    one = made["hmm_1m_rate"]
    assert one["core_seconds_a_year"] == pytest.approx(one["ms"] * 28 * 52 / 1e3, abs=0.01)
    assert found["core_seconds_a_year"] == pytest.approx(sum(r["core_seconds_a_year"] for r in made.values()), abs=0.1)

"""The build bench measures real builds in real processes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from benchmarks.build import measure

from bqx.market.calendar import minute_of


def test_measure(tmp_path: Path) -> None:
    end = minute_of(datetime(2024, 7, 4, tzinfo=UTC))
    result = measure(tmp_path, ("eurusd", "usdjpy"), ("time_dual",), end)
    (row,) = result["datasets"]
    assert row["dataset"] == "time_dual"
    # 10 columns of two pairs over three days, less the minutes that simulated bars lack at the end
    assert 0.99 * 10 * 2 * 3 * 1440 < row["values"] <= 10 * 2 * 3 * 1440
    assert row["bytes"] > 0
    assert row["seconds"] > 0
    assert row["peak_gb"] > 0.05, "of a process of its own"
    assert result["together"]["values"] == row["values"]
    assert result["ok"]
    assert not (tmp_path / "bars-copy").exists()

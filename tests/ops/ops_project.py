"""What the projects of these tests share: three pairs over seventeen days in two months."""

from __future__ import annotations

from datetime import UTC, datetime

from bqx.market.calendar import minute_of

PAIRS = ("eurusd", "gbpusd", "usdjpy")
START = minute_of(datetime(2024, 6, 24, tzinfo=UTC))
END = minute_of(datetime(2024, 7, 11, tzinfo=UTC))

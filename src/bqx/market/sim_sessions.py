"""How busy each currency is in each minute of the New York day, by local time in Tokyo, London and New York."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from bqx.market.calendar import Grid
from bqx.market.pairs import CURRENCIES

F8 = NDArray[np.float64]
_TOKYO, _LONDON, _NEW_YORK = (ZoneInfo(n) for n in ("Asia/Tokyo", "Europe/London", "America/New_York"))

# Bumps of activity (variance): centre and half width in local minutes, height.
_BUMPS = (
    ((9 * 60 + 30, 120, 1.0), (13 * 60, 330, 0.8)),  # Tokyo
    ((8 * 60 + 30, 130, 1.2), (12 * 60 + 30, 360, 1.0), (16 * 60, 90, 0.7)),  # London
    ((9 * 60, 120, 1.3), (11 * 60 + 30, 300, 1.0)),  # New York
)
# Weight of the three sessions for each currency; 0.12 is the activity of a dead hour.
_WEIGHTS = {
    "eur": (0.35, 1.45, 1.05),
    "gbp": (0.25, 1.65, 0.95),
    "aud": (1.15, 0.80, 0.90),
    "nzd": (1.10, 0.80, 0.90),
    "usd": (0.60, 1.00, 1.50),
    "cad": (0.25, 0.90, 1.80),
    "chf": (0.30, 1.60, 0.95),
    "jpy": (1.25, 0.85, 0.90),
}
_QUIET = 0.12


def _session(bumps: tuple[tuple[int, int, float], ...], local: int) -> float:
    total = 0.0
    for centre, half, height in bumps:
        away = (local - centre + 720) % 1440 - 720
        x = away / half
        total += height * (1.0 - x * x) * (1.0 - x * x) if abs(x) < 1.0 else 0.0
    return total


def profile(tokyo_ahead: int, london_ahead: int) -> F8:
    """Activity (1440, 8), about 1 on average, by minute since 17:00 New York; arguments are minutes ahead of it."""
    out = np.empty((1440, len(CURRENCIES)))
    for minute in range(1440):
        local = (17 * 60 + minute) % 1440
        parts = [_session(b, local + ahead) for b, ahead in zip(_BUMPS, (tokyo_ahead, london_ahead, 0), strict=True)]
        for c, currency in enumerate(CURRENCIES):
            w = _WEIGHTS[currency]
            out[minute, c] = _QUIET + w[0] * parts[0] + w[1] * parts[1] + w[2] * parts[2]
    return out


def seasons(grid: Grid) -> tuple[NDArray[np.int64], F8]:
    """Row of `profiles` for each grid minute, and the profiles (k, 1440, 8); clocks change only while closed."""
    days, row_of = np.unique(grid.day, return_inverse=True)
    ahead: dict[tuple[int, int], int] = {}
    number = np.empty(len(days), dtype=np.int64)
    for i, day in enumerate(days):
        noon = datetime.fromtimestamp(int(day) * 86_400 + 43_200, UTC)
        ny, tokyo, london = (_offset(noon, zone) for zone in (_NEW_YORK, _TOKYO, _LONDON))
        number[i] = ahead.setdefault((tokyo - ny, london - ny), len(ahead))
    tables = np.stack([profile(*key) for key in ahead]) if ahead else np.empty((0, 1440, len(CURRENCIES)))
    return number[row_of], tables


def _offset(when: datetime, zone: ZoneInfo) -> int:
    offset = when.astimezone(zone).utcoffset()
    return int(offset.total_seconds()) // 60 if offset is not None else 0

"""Equity and drawdown as an inline SVG that follows the colours of its page."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from bqx.market.calendar import EPOCH

F8 = NDArray[np.float64]
_WIDE, _LEFT, _RIGHT = 760.0, 64.0, 12.0
_TOP, _EQUITY, _GAP, _DOWN, _BOTTOM = 16.0, 190.0, 26.0, 80.0, 24.0


def curve(days: list[int], pnl: list[float], stamp: str = "") -> str:
    """Cumulated profit above, fall below its earlier maximum beneath; bps of the equity by trade day."""
    level = np.concatenate([[0.0], np.cumsum(pnl)])
    fall = level - np.maximum.accumulate(level)
    high = _TOP + _EQUITY + _GAP + _DOWN + _BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE:g} {high:g}" style="width:100%;min-width:480px" '
        'font-family="system-ui, sans-serif" font-size="11" role="img">'
    ]
    parts += _panel(level, _TOP, _EQUITY, "profit", "#0b6e6e")
    parts += _panel(fall, _TOP + _EQUITY + _GAP, _DOWN, "drawdown", "#b3541e")
    for k in np.unique(np.linspace(0, len(days) - 1, 5).round().astype(int)).tolist():
        x = _x(k + 1, len(level))
        anchor = "end" if k == len(days) - 1 else "middle"
        label = f"{EPOCH + timedelta(days=days[k]):%Y-%m-%d}"
        parts.append(f'<text x="{x:.1f}" y="{high - 6:.1f}" text-anchor="{anchor}" fill="currentColor">{label}</text>')
    if stamp:
        parts.append(
            f'<text x="{_WIDE - _RIGHT:g}" y="{_TOP + _EQUITY + 16:g}" text-anchor="end" fill="#8b94a0">{stamp}</text>'
        )
    return "".join(parts) + "</svg>"


def _x(row: int, n: int) -> float:
    return _LEFT + (_WIDE - _LEFT - _RIGHT) * row / max(n - 1, 1)


def _panel(values: F8, top: float, tall: float, name: str, ink: str) -> list[str]:
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    span = high - low or 1.0

    def y(v: float) -> float:
        return top + tall * (high - v) / span

    points = " ".join(f"{_x(k, len(values)):.1f},{y(float(v)):.1f}" for k, v in enumerate(values))
    out = [
        f'<line x1="{_LEFT:g}" x2="{_WIDE - _RIGHT:g}" y1="{y(0.0):.1f}" y2="{y(0.0):.1f}" stroke="#8b94a0"/>',
        f'<polyline points="{points}" fill="none" stroke="{ink}" stroke-width="1.6"/>',
        f'<text x="{_LEFT + 8:g}" y="{top - 2:.1f}" text-anchor="start" fill="{ink}">{name}, bps</text>',
    ]
    return out + [
        f'<text x="{_LEFT - 6:g}" y="{y(v) + 4:.1f}" text-anchor="end" fill="currentColor">{v:,.0f}</text>'
        for v in dict.fromkeys((low, high, 0.0))
    ]

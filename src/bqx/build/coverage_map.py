"""A heat map as an inline SVG: rows by columns of shares, readable in light and dark and without colour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]
RAMP = ("#fbf3e2", "#f2d9a6", "#e0aa63", "#b96d3c", "#7a3423")
"""Light to dark in even steps of lightness; told apart without colour."""
_HIGH, _GAP = 18, 2


def heat_map(rows: Sequence[str], columns: Sequence[str], share: F8, text: Callable[[int, int], str]) -> str:
    """`share` (rows, columns) in 0..1, NaN where there is nothing; the colour goes by its square root, so that small
    shares show. text(i, j) : what the cell says; the figures themselves are in the table."""
    left = 8 + 6.6 * max((len(r) for r in rows), default=0)
    wide = max(54.0, 6.6 * max((len(c) for c in columns), default=0) + 8)
    slanted = wide > 90
    wide = 54.0 if slanted else wide
    top = 24.0 if not slanted else 20 + 4.4 * max(len(c) for c in columns)
    width, height = left + wide * len(columns) + (60 if slanted else 4), top + _HIGH * len(rows) + 4
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'font-family="system-ui, sans-serif" font-size="11">'
    ]
    for j, name in enumerate(columns):
        x = left + wide * (j + 0.5)
        turn = f' transform="rotate(-45 {x:.1f} {top - 6:.1f})"' if slanted else ""
        anchor = "start" if slanted else "middle"
        place = f'x="{x:.1f}" y="{top - 6:.1f}" text-anchor="{anchor}"{turn}'
        parts.append(f'<text {place} fill="currentColor">{escape(name)}</text>')
    for i, name in enumerate(rows):
        y = top + _HIGH * i
        parts.append(
            f'<text x="{left - 6:.1f}" y="{y + 13:.1f}" text-anchor="end" fill="currentColor">{escape(name)}</text>'
        )
        parts += [_cell(left + wide * j, y, wide, float(share[i, j]), text(i, j)) for j in range(len(columns))]
    return "".join(parts) + "</svg>"


def _cell(x: float, y: float, wide: float, share: float, text: str) -> str:
    box = f'x="{x:.1f}" y="{y:.1f}" width="{wide - _GAP:.1f}" height="{_HIGH - _GAP}"'
    if not np.isfinite(share):
        return f'<rect {box} fill="none" stroke="currentColor" stroke-opacity="0.25"/>'
    ink = "#fefefe" if share**0.5 > 0.62 else "#20282c"
    middle = f'x="{x + (wide - _GAP) / 2:.1f}" y="{y + 12:.1f}" text-anchor="middle" font-size="10"'
    return f'<rect {box} fill="{_colour(share)}"/><text {middle} fill="{ink}">{escape(text)}</text>'


def _colour(share: float) -> str:
    """Between two steps of the ramp.

    >>> _colour(0.0), _colour(1.0)
    ('#fbf3e2', '#7a3423')
    """
    at = min(max(share, 0.0), 1.0) ** 0.5 * (len(RAMP) - 1)
    k = min(int(at), len(RAMP) - 2)
    low, high = (bytes.fromhex(RAMP[n][1:]) for n in (k, k + 1))
    mixed = (round(a + (b - a) * (at - k)) for a, b in zip(low, high, strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed)

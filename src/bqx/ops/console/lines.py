"""A line of values over time as a small inline SVG in the colours of its page."""

from __future__ import annotations

from html import escape

import numpy as np
from numpy.typing import NDArray

from bqx.ops.plots import thin

F8 = NDArray[np.float64]
WIDE, HIGH, POINTS = 720, 96, 700


def line_svg(x: F8, y: F8, label: str) -> str:
    """x : minutes, y : values with NaN for NULL, both (n,); gaps stay gaps. label : what it shows, for those who cannot
    see it."""
    known = np.isfinite(y)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" class="line" role="img" '
        f'aria-label="{escape(label)}">'
    )
    if not known.any():
        return (
            f'{head}<text x="8" y="{HIGH / 2}" font-size="12" fill="currentColor">no value in these hours</text></svg>'
        )
    low, high = float(y[known].min()), float(y[known].max())
    x, y = thin(x, y, POINTS)
    across = (x - x[0]) / max(float(x[-1] - x[0]), 1.0) * (WIDE - 78) + 70
    up = HIGH - 8 - (y - low) / ((high - low) or 1.0) * (HIGH - 16)
    parts, pen = [], False
    for px, py, there in zip(across, up, np.isfinite(y), strict=True):
        if there:
            parts.append(f"{'L' if pen else 'M'}{px:.1f} {py:.1f}")
        pen = bool(there)
    ticks = "".join(
        f'<text x="64" y="{at:.0f}" text-anchor="end" font-size="10" fill="currentColor">{value:.4g}</text>'
        for value, at in ((high, 14), (low, HIGH - 4))
    )
    path = f'<path d="{"".join(parts)}" fill="none" stroke="currentColor" class="accent" stroke-width="1.1"/>'
    return f"{head}{ticks}{path}</svg>"

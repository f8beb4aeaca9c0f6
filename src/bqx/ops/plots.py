"""The look of bqx drawings: small inline SVG in the colours of the page they stand in, the same bytes every time."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

F8 = NDArray[np.float64]

INK, SOFT, FAINT, LINE, ACCENT, SHADE = "#1c2024", "#5b6470", "#8b94a0", "#e4e2dd", "#0b6e6e", "#eceef1"
_ROLES = {INK: "ink", SOFT: "soft", FAINT: "faint", LINE: "line", ACCENT: "accent", SHADE: "plain-bg"}
_FONT = "DejaVu Sans"
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "bqx",
    "font.family": [_FONT],
    "font.size": 8.0,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.linewidth": 0.8,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "xtick.color": LINE,
    "xtick.labelcolor": SOFT,
    "ytick.color": LINE,
    "ytick.labelcolor": SOFT,
    "xtick.major.size": 3.0,
    "ytick.major.size": 0.0,
    "lines.solid_joinstyle": "round",
    "lines.solid_capstyle": "round",
    "path.simplify": False,
}


@contextmanager
def drawing(width: float, height: float) -> Iterator[Figure]:
    """A figure of that many inches in the house style; draw in it, then call :func:`to_svg` before leaving."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(cast("Any", _STYLE)):
        yield Figure(figsize=(width, height), facecolor="none")


def to_svg(figure: Figure, *, narrowest: int) -> str:
    """Inline SVG as wide as its place on the page, at least `narrowest` CSS pixels (the place scrolls below that).

    Roles such as ink and accent become the page's CSS variables, so that the drawing follows light and dark; text
    stays text in the page's font.
    """
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :].strip()
    for colour, role in _ROLES.items():
        svg = svg.replace(colour, f"var(--{role}, {colour})")
    svg = re.sub(
        r"(font: [^;\"]*?)'DejaVu Sans'[^;\"]*",
        r"\1system-ui, 'Segoe UI', 'Liberation Sans', sans-serif",
        svg,
    )
    svg = re.sub(r"\s*<g id=\"[^\"]*\">\s*</g>", "", svg)
    svg = re.sub(r">\s*\n\s*<", "><", svg)
    style = f"width:100%;min-width:{narrowest}px;height:auto;display:block"
    return re.sub(r"<svg ([^>]*?)width=\"[^\"]*\"|<svg ([^>]*?)", rf'<svg style="{style}" \1', svg, count=1)


def add_stamp(figure: Figure, text: str) -> None:
    """A word in the corner that stays when a drawing is cut out of its page."""
    if text:
        at = 0.09 / figure.get_figheight()
        figure.text(0.992, at, text, ha="right", va="bottom", fontsize=6.8, color=FAINT)


def quiet_axes(ax: Axes, *, grid: Literal["x", "y"] = "y") -> None:
    """No frame, light rules along one axis."""
    ax.tick_params(axis="both", which="both", left=False)
    ax.grid(axis=grid, color=LINE, linewidth=0.7)


def thin(x: F8, y: F8, points: int = 1500) -> tuple[F8, F8]:
    """At most `points` of a line, the lowest and highest of each bucket among them, so that no spike is lost.

    Gaps (NaN) stay gaps: a bucket that holds one keeps a NaN.

    >>> x = np.arange(10_000.0); y = np.zeros(10_000); y[4321] = 9.0
    >>> a, b = thin(x, y, 100)
    >>> len(b) <= 100, float(b.max())
    (True, 9.0)
    """
    if len(x) <= points:
        return x, y
    keep: list[int] = []
    for rows in np.array_split(np.arange(len(x)), max(points // 3, 1)):
        known = rows[np.isfinite(y[rows])]
        gap = rows[~np.isfinite(y[rows])][:1]
        ends = [known[y[known].argmin()], known[y[known].argmax()]] if len(known) else []
        keep.extend(sorted({int(k) for k in (*ends, *gap)}))
    chosen = np.array(keep)
    return x[chosen], y[chosen]

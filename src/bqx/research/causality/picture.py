"""The kept links as a graph: pairs on a circle, arrows from source to target; an inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from bqx.research.causality.links import Link

_RADIUS, _LABEL, _HALF = 190.0, 206.0, 260.0
_INK = {1: "#0b6e6e", -1: "#b3541e"}
"""By sign; the sign is also in the words of each arrow, and TE is dashed."""


def graph(pairs: Sequence[str], links: Sequence[Link]) -> str:
    """Links between pairs; those from features are in the table only. Widths go by strength within a method."""
    shown = [link for link in links if link.source in pairs and link.target in pairs]
    spots = {p: _spot(k, len(pairs), _RADIUS) for k, p in enumerate(pairs)}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-_HALF} {-_HALF} {2 * _HALF} {2 * _HALF}" width="560" '
        'font-family="system-ui, sans-serif" font-size="11" role="img">',
        "<defs>",
        *(
            f'<marker id="tip{sign}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="5" markerHeight="5" '
            f'orient="auto"><path d="M0 0 8 4 0 8z" fill="{ink}"/></marker>'
            for sign, ink in _INK.items()
        ),
        "</defs>",
    ]
    for link in shown:
        strongest = max(abs(other.effect or 0.0) for other in shown if other.method == link.method) or 1.0
        parts.append(_arrow(spots[link.source], spots[link.target], link, abs(link.effect or 0.0) / strongest))
    for k, pair in enumerate(pairs):
        (x, y), (a, b) = spots[pair], _spot(k, len(pairs), _LABEL)
        anchor = "middle" if abs(a) < 40 else ("start" if a > 0 else "end")
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="currentColor"/>')
        parts.append(
            f'<text x="{a:.1f}" y="{b + 4:.1f}" text-anchor="{anchor}" fill="currentColor">{escape(pair)}</text>'
        )
    if not shown:
        parts.append('<text x="0" y="4" text-anchor="middle" fill="currentColor">no link was kept</text>')
    return "".join(parts) + "</svg>"


def _spot(k: int, n: int, radius: float) -> tuple[float, float]:
    turn = 2.0 * math.pi * k / n - math.pi / 2.0
    return radius * math.cos(turn), radius * math.sin(turn)


def _arrow(start: tuple[float, float], end: tuple[float, float], link: Link, strength: float) -> str:
    """Bent to the right, so that both directions show; its words tell what it is."""
    (ax, ay), (bx, by) = start, end
    long = math.hypot(bx - ax, by - ay) or 1.0
    mx, my = (ax + bx) / 2 - 0.16 * (by - ay), (ay + by) / 2 + 0.16 * (bx - ax)
    back = 7.0 / (math.hypot(bx - mx, by - my) or long)
    bx, by = bx - (bx - mx) * back, by - (by - my) * back
    sign = link.sign or 1
    words = (
        f"{link.source} to {link.target}, {link.method} on {link.series}, lag {link.lag}, {'+' if sign > 0 else '-'}"
    )
    dash = ' stroke-dasharray="5 3"' if link.method == "te" else ""
    return (
        f'<path d="M{ax:.1f} {ay:.1f} Q{mx:.1f} {my:.1f} {bx:.1f} {by:.1f}" fill="none" stroke="{_INK[sign]}" '
        f'stroke-width="{1.0 + 2.5 * math.sqrt(strength):.2f}"{dash} marker-end="url(#tip{sign})">'
        f"<title>{escape(words)}</title></path>"
    )

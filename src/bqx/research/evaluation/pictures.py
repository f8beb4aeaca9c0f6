"""Drawings of an evaluation: intervals on a line, calibration, PIT; inline SVG in the colours of their page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_LABEL, _PLOT, _ROW = 190.0, 420.0, 18.0
_INK, _SOFT = "#0b6e6e", "#8b94a0"
_SIDE = 300.0


@dataclass(frozen=True, slots=True)
class Span:
    """A row of a chart of intervals; `mark` is another figure to compare with, such as what noise gets."""

    label: str
    value: float
    low: float
    high: float
    mark: float | None = None


def intervals(rows: Sequence[Span], *, at: float, axis: str, band: tuple[float, float] | None = None) -> str:
    """One row each, a rule at `at`, a shaded band; `axis` names the unit below."""
    ends = [
        at,
        *(v for r in rows for v in (r.low, r.high)),
        *(r.mark for r in rows if r.mark is not None),
        *(band or ()),
    ]
    ticks = _ticks(min(ends), max(ends))
    first, last = ticks[0], ticks[-1]

    def x(value: float) -> float:
        return _LABEL + _PLOT * (value - first) / (last - first)

    high = _ROW * len(rows)
    parts = [_open(_LABEL + _PLOT + 20, high + 44)]
    if band:
        parts.append(
            f'<rect x="{x(band[0]):.1f}" y="0" width="{x(band[1]) - x(band[0]):.1f}" height="{high:.0f}" '
            f'fill="{_SOFT}" opacity="0.18"/>'
        )
    for tick in ticks:
        parts.append(_line(x(tick), 0, x(tick), high, "currentColor", 0.12))
        parts.append(_text(x(tick), high + 16, _plain(tick, ticks), "middle"))
    parts.append(_line(x(at), 0, x(at), high, "currentColor", 0.8))
    for k, row in enumerate(rows):
        y = _ROW * (k + 0.5)
        words = f"{row.label}: {row.value:.4g} ({row.low:.4g} to {row.high:.4g})"
        parts.append(f"<g><title>{escape(words)}</title>")
        parts.append(_text(_LABEL - 8, y + 4, row.label, "end"))
        parts.append(_line(x(row.low), y, x(row.high), y, _INK, 1.0, 2))
        parts.append(f'<circle cx="{x(row.value):.1f}" cy="{y:.1f}" r="3.2" fill="{_INK}"/>')
        if row.mark is not None:
            parts.append(_line(x(row.mark), y - 6, x(row.mark), y + 6, _SOFT, 1.0, 2))
        parts.append("</g>")
    parts.append(_text(_LABEL + _PLOT / 2, high + 36, axis, "middle"))
    return "".join(parts) + "</svg>"


def calibration(curve: Sequence[tuple[float, float, float, int]]) -> str:
    """Mean outcome of each tenth of forecasts with two errors on either side, beside the line y = f."""
    sides = [v for f, y, e, _ in curve for v in (f, y - 2 * e, y + 2 * e)]
    ticks = _ticks(min(sides), max(sides))
    first, last = ticks[0], ticks[-1]

    def place(value: float) -> float:
        return _SIDE * (value - first) / (last - first)

    parts = [_open(_SIDE + 90, _SIDE + 50, left=-60)]
    for tick in ticks:
        at = place(tick)
        parts += [_line(at, 0, at, _SIDE, "currentColor", 0.12), _line(0, at, _SIDE, at, "currentColor", 0.12)]
        parts += [_text(at, _SIDE + 16, _plain(tick, ticks), "middle")]
        parts += [_text(-6, _SIDE - at + 4, _plain(tick, ticks), "end")]
    parts.append(_line(0, _SIDE, _SIDE, 0, "currentColor", 0.6))
    for f, y, error, rows in curve:
        px, low, high = place(f), _SIDE - place(y - 2 * error), _SIDE - place(y + 2 * error)
        parts.append(f"<g><title>forecast {f:.4g}, outcome {y:.4g} +- {2 * error:.2g}, {rows} rows</title>")
        parts.append(_line(px, low, px, high, _INK, 1.0, 1.5))
        parts.append(f'<circle cx="{px:.1f}" cy="{_SIDE - place(y):.1f}" r="3.2" fill="{_INK}"/></g>')
    parts.append(_text(_SIDE / 2, _SIDE + 36, "mean forecast of a tenth", "middle"))
    parts.append(_text(-6, -8, "mean outcome", "start"))
    return "".join(parts) + "</svg>"


def pit(nominal: Sequence[float], shares: Sequence[float]) -> str:
    """Density of outcomes between the forecast quantiles; 1 everywhere is right."""
    wide, high = _PLOT, 150.0
    density = [s / n for s, n in zip(shares, nominal, strict=True)]
    top = max(1.2, *density) * 1.05
    parts, at = [_open(wide + 60, high + 40, left=-40, top=-10)], 0.0
    for n, share, d in zip(nominal, shares, density, strict=True):
        x, y = wide * at, high * (1 - d / top)
        parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide * n:.1f}" height="{high - y:.1f}" fill="{_INK}" '
            f'opacity="0.75" stroke="currentColor"><title>{share:.4f} of outcomes, {n:.2f} expected</title></rect>'
        )
        at += n
    level = high * (1 - 1 / top)
    parts += [_line(0, level, wide, level, "currentColor", 0.8), _text(-6, level + 4, "1", "end")]
    parts += [_text(-6, high + 4, "0", "end")]
    parts += [_text(wide * p, high + 16, f"{p:g}", "middle") for p in (0.0, 0.5, 1.0)]
    return "".join([*parts, _text(wide / 2, high + 30, "forecast probability", "middle")]) + "</svg>"


def _open(width: float, height: float, left: float = 0.0, top: float = -14.0) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{left:.0f} {top:.0f} {width:.0f} {height - top:.0f}" '
        f'width="{width:.0f}" font-family="system-ui, sans-serif" font-size="11" role="img">'
    )


def _line(x1: float, y1: float, x2: float, y2: float, ink: str, opacity: float, width: float = 1.0) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{ink}" stroke-width="{width:g}" '
        f'opacity="{opacity:g}"/>'
    )


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="currentColor">{escape(words)}</text>'


def _ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Round numbers that hold [low, high]."""
    span = max(high - low, 1e-9)
    raw = span / about
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(m * unit for m in (1.0, 2.0, 5.0, 10.0) if m * unit >= raw)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [k * step for k in range(first, max(last, first + 1) + 1)]


def _plain(value: float, ticks: Sequence[float]) -> str:
    step = ticks[1] - ticks[0]
    return f"{value:.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"

"""Drawings of the cost report: the range of the total, what moves it, the ways of serving, a week of instances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bqx.ops.cost.alternatives import Alternative
from bqx.ops.cost.estimate import Estimate
from bqx.ops.cost.tornado import Swing
from bqx.ops.cost.traffic import make_profile
from bqx.ops.plots import ACCENT, FAINT, INK, SHADE, SOFT, add_stamp, drawing, quiet_axes, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

F8 = NDArray[np.float64]
WIDE = 7.2
BINS = 50


def range_chart(found: Estimate, stamp: str) -> str:
    """How often a total is drawn, with P10, P50, P90, the likeliest month and the budget."""
    with drawing(WIDE, 2.3) as figure:
        ax = figure.subplots()
        ax.hist(found.totals, bins=BINS, color=SHADE, edgecolor=FAINT, linewidth=0.5)
        marks = (("P10", found.p10, SOFT), ("P50", found.p50, SOFT), ("P90", found.p90, ACCENT),
                 ("likeliest", found.total, INK), ("budget", found.scenario.budget, INK))  # fmt: skip
        for k, (name, value, colour) in enumerate(sorted(marks, key=lambda m: m[1])):
            ax.axvline(float(value), color=colour, linewidth=1.2, linestyle="--" if name == "budget" else "-")
            ax.text(float(value), 1.02 + 0.09 * (k % 3), f" {name} {value:,.0f}", transform=ax.get_xaxis_transform(),
                    fontsize=7, color=colour)  # fmt: skip
        ax.set_yticks([])
        ax.set_xlabel(f"{found.book.currency} a month")
        quiet_axes(ax, grid="x")
        figure.subplots_adjust(left=0.03, right=0.97, top=0.72, bottom=0.24)
        add_stamp(figure, stamp)
        return to_svg(figure, narrowest=520)


def tornado_chart(swings: Sequence[Swing], total: float, currency: str, stamp: str, most: int = 15) -> str:
    """The widest `most` figures: the total from their least to their most."""
    shown = list(swings[:most])[::-1]
    with drawing(WIDE, 0.8 + 0.24 * max(len(shown), 1)) as figure:
        ax = figure.subplots()
        for y, s in enumerate(shown):
            ax.barh(y, float(s.low) - total, left=total, color=FAINT, height=0.62)
            ax.barh(y, float(s.high) - total, left=total, color=ACCENT, height=0.62)
        ax.axvline(total, color=INK, linewidth=1)
        ax.set_yticks(range(len(shown)), [s.figure.name for s in shown])
        ax.set_xlabel(f"{currency} a month; dark to the most, light to the least")
        quiet_axes(ax, grid="x")
        figure.subplots_adjust(left=0.27, right=0.97, top=0.98, bottom=0.5 / (0.8 + 0.24 * max(len(shown), 1)))
        add_stamp(figure, stamp)
        return to_svg(figure, narrowest=560)


def alternatives_chart(found: Sequence[Alternative], budget: float, currency: str, stamp: str) -> str:
    """P10 to P90 of each way of serving with its median and likeliest month."""
    with drawing(WIDE, 2.0) as figure:
        ax = figure.subplots()
        for y, a in enumerate(reversed(found)):
            e = a.estimate
            ax.plot([float(e.p10), float(e.p90)], [y, y], color=ACCENT, linewidth=5, alpha=0.35)
            ax.plot(float(e.p50), y, "o", color=ACCENT, markersize=5)
            ax.plot(float(e.total), y, "|", color=INK, markersize=11, markeredgewidth=1.6)
        ax.axvline(budget, color=INK, linewidth=1, linestyle="--")
        ax.set_yticks(range(len(found)), [a.serving for a in reversed(found)])
        ax.set_xlim(left=0)
        ax.set_ylim(-0.6, len(found) - 0.4)
        ax.set_xlabel(f"{currency} a month: P10 to P90, dot P50, stroke likeliest, dashes budget")
        quiet_axes(ax, grid="x")
        figure.subplots_adjust(left=0.13, right=0.97, top=0.98, bottom=0.27)
        add_stamp(figure, stamp)
        return to_svg(figure, narrowest=520)


def week_chart(found: Estimate, stamp: str) -> str:
    """Requests by minute of the week and, for an endpoint, the instances that the policy runs."""
    profile = make_profile(found.scenario.bursts)
    x = found.scenario.inputs
    polls = np.array([float(x["polls"].mode * x["pairs"].mode)])
    bursts = np.array([float(x["bursts"].mode)])
    load = np.array([profile.load(polls, bursts, t)[0] for t in range(len(profile.open))])
    days = np.arange(len(load)) / 1440
    scaled = found.amounts.scaled
    with drawing(WIDE, 2.2 if scaled is None else 3.0) as figure:
        axes = figure.subplots(1 if scaled is None else 2, 1, sharex=True, squeeze=False)[:, 0]
        _steps(axes[0], days, load, "requests\na minute")
        if scaled is not None:
            _steps(axes[1], days, scaled.minutes, "instances")
            axes[1].set_ylim(0, scaled.minutes.max() + 0.5)
        axes[-1].set_xlabel("days from Sunday 17:00 New York")
        figure.subplots_adjust(left=0.11, right=0.97, top=0.96, bottom=0.17, hspace=0.25)
        add_stamp(figure, stamp)
        return to_svg(figure, narrowest=520)


def _steps(ax: Axes, days: F8, values: F8, label: str) -> None:
    changed = np.flatnonzero(np.diff(values, prepend=np.nan, append=np.nan) != 0)
    keep = np.unique(np.clip(np.concatenate([changed - 1, changed]), 0, len(values) - 1))
    ax.plot(days[keep], values[keep], color=ACCENT, linewidth=0.9)
    ax.set_ylabel(label)
    quiet_axes(ax)

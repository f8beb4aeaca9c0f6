"""The page's coverage: which share of the values is not NULL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bqx.base.provenance import computed
from bqx.base.report import Cell, Figure, Heading, Report, Table, Text
from bqx.ops.demo_facts import Facts
from bqx.ops.plots import FAINT, INK, LINE, add_stamp, drawing, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

F8 = NDArray[np.float64]
Ramp = Callable[[float], tuple[float, float, float, float]]
RAMP = ("#f3e9d2", "#b9d6c2", "#6fb0a8", "#2c7f82", "#0d4a55")
"""Light to dark in even steps of lightness; told apart without colour."""


def coverage_section(report: Report, facts: Facts, stamp: str) -> None:
    """A heat map of pairs by datasets, and a row a dataset."""
    share = facts.coverage()
    report.add(
        Heading("Coverage"),
        Text(
            "A value is NULL, never a stand-in, where the warm-up is not over, bars are missing for more than 5 "
            "minutes, a window would cross a closure it must not, or a ratio is undefined. The verification compares "
            "every column's count with what calendar and bars predict."
        ),
        Figure(
            coverage_chart(facts.pairs, facts.datasets, share, stamp),
            "Share of values that are not NULL, per cent, by pair and dataset.",
            f"Heat map of {len(facts.pairs)} pairs by {len(facts.datasets)} datasets; least {_least(share)}",
            paper=False,
        ),
    )
    rows: list[Sequence[Cell]] = []
    for name in facts.datasets:
        parts = facts.of(name)
        values = sum(p.rows * len(p.columns) for p in parts)
        nulls = sum(sum(p.null_counts[c] for c in p.columns) for p in parts)
        how = f"manifest, partitions of {name}"
        column = share[:, facts.datasets.index(name)]
        worst = min((v, p) for v, p in zip(column, facts.pairs, strict=True) if v == v)
        rows.append(
            [
                name,
                computed(len({c for p in parts for c in p.columns}), "", how),
                computed(len(parts), "", how),
                computed(sum(p.rows for p in parts), "", how),
                computed(values, "", how),
                computed(values - nulls, "", how),
                computed(100 * (values - nulls) / values, "", how, digits=2),
                computed(100 * worst[0], "", how, digits=2),
                worst[1].upper(),
            ]
        )
    report.require_sum(
        "values", [sum(p.rows * len(p.columns) for p in facts.of(n)) for n in facts.datasets], facts.values
    )
    head = [
        "dataset",
        "columns",
        "partitions",
        "rows",
        "values",
        "not NULL",
        "share, %",
        "least, %",
        "of pair",
    ]
    report.add(Table(head, rows, caption="What the store holds"))


def _least(share: F8) -> str:
    return f"{100 * float(np.nanmin(share)):.1f} %"


def coverage_chart(pairs: Sequence[str], datasets: Sequence[str], share: F8, stamp: str = "") -> str:
    """A cell for each share of non-NULL values, (pairs, datasets) in 0..1, NaN where nothing is built."""
    from matplotlib.colors import LinearSegmentedColormap

    ramp = LinearSegmentedColormap.from_list("bqx", list(RAMP))
    low = floor_of(share)
    wide = len(datasets) > 12
    height = 0.235 * len(pairs) + (1.4 if wide else 0.78)
    with drawing(9.4, height) as figure:
        ax = figure.add_axes((0.085, 0.5 / height, 0.905, 0.235 * len(pairs) / height))
        for i in range(len(pairs)):
            for j in range(len(datasets)):
                _cell(ax, i, j, float(share[i, j]), low, ramp)
        ax.set(xlim=(-0.5, len(datasets) - 0.5), ylim=(len(pairs) - 0.5, -0.5))
        ax.set_yticks(range(len(pairs)), [p.upper() for p in pairs])
        ax.set_xticks(range(len(datasets)), datasets, rotation=50 if wide else 0, ha="left" if wide else "center")
        ax.xaxis.tick_top()
        ax.tick_params(length=0, labelcolor=INK)
        ax.spines[:].set_visible(False)
        key = figure.add_axes((0.085, 0.22 / height, 0.26, 0.1 / height))
        steps = np.linspace(0.0, 1.0, 40)
        for k, step in enumerate(steps):
            key.axvspan(k, len(steps), color=ramp(step), linewidth=0)
        key.set(xlim=(0, len(steps)), ylim=(0, 1), yticks=[])
        key.set_xticks([0, len(steps)], [f"{100 * low:.0f} %", "100 % non-NULL"])
        key.tick_params(length=0)
        key.spines[:].set_visible(False)
        add_stamp(figure, stamp)
        return to_svg(figure, narrowest=max(640, 44 * len(datasets) + 90))


def floor_of(share: F8) -> float:
    """Where the colour ramp begins: the 5 % step below the least share, at most 95 %."""
    known = share[np.isfinite(share)]
    return float(min(np.floor(20.0 * known.min()) / 20.0, 0.95)) if len(known) else 0.0


def _cell(ax: Axes, i: int, j: int, value: float, low: float, ramp: Ramp) -> None:
    from matplotlib.patches import Rectangle

    corner, size = (j - 0.48, i - 0.46), (0.96, 0.92)
    if not np.isfinite(value):
        ax.add_patch(Rectangle(corner, *size, facecolor="none", edgecolor=LINE, linewidth=0.8))
        ax.text(j, i, "not built", ha="center", va="center", fontsize=6.5, color=FAINT)
        return
    at = (value - low) / (1.0 - low)
    ax.add_patch(Rectangle(corner, *size, facecolor=ramp(at), linewidth=0))
    ax.text(
        j,
        i,
        percent(value),
        ha="center",
        va="center",
        fontsize=7.0,
        color="#fefefe" if at > 0.55 else "#20282c",
    )


def percent(share: float) -> str:
    """Never rounds up to 100 or down to 0.

    >>> [percent(s) for s in (1.0, 0.99999, 0.0, 0.00001, 0.5)]
    ['100', '99.9', '0', '0.1', '50.0']
    """
    if share in (0.0, 1.0):
        return f"{100 * share:.0f}"
    return f"{min(max(100 * share, 0.1), 99.9):.1f}" if not 0.001 < share < 0.999 else f"{100 * share:.1f}"

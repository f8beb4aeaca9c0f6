"""Columns of a dataset over one simulated day, drawn under the price they come from."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bqx.features.catalogue import earliest
from bqx.features.checks import World
from bqx.features.declare import Dataset
from bqx.market.calendar import DAY, Calendar, minute_of
from bqx.market.pairs import PAIRS
from bqx.market.simulated import simulate
from bqx.ops.plots import ACCENT, SOFT, add_stamp, drawing, quiet_axes, thin

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]

PAIR, SEED = "eurusd", 1
DAY_SHOWN = minute_of(datetime(2024, 7, 10, tzinfo=UTC))
ROWS = 6
"""Columns drawn at most."""
POINTS = 360


FEWER = {"error_correction_dual": ("eur", "usd")}
"""Datasets that see far back and need only the pairs of some currencies."""


def plot_world(home: Dataset) -> World:
    """Simulated bars that reach back as far as the drawn columns see, of the other pairs too where they matter."""
    calendar = Calendar.load()
    names = chosen(home)
    start = calendar.segment_start(earliest(home, DAY_SHOWN, calendar, names) - 8 * DAY)
    start = min(start, calendar.at_ordinal(calendar.ordinal(DAY_SHOWN) - max(home.by_name[n].warmup for n in names)))
    pairs: tuple[str, ...] = (PAIR,)
    if "panel" in home.uses:
        pairs = tuple(p for p in PAIRS if home.name not in FEWER or set(FEWER[home.name]) & {p[:3], p[3:]})
    return _world(calendar.segment_start(start), pairs)


@lru_cache(maxsize=1)
def _world(start: int, pairs: tuple[str, ...]) -> World:
    frames = simulate(Calendar.load(), start, DAY_SHOWN + DAY, seed=SEED, pairs=list(pairs), origin_minute=start)
    return World(frames, Calendar.load(), start + DAY, pairs)


def chosen(home: Dataset) -> list[str]:
    """One column of each kind (a name without its numbers), at most `ROWS`, spread over the dataset."""
    kinds: dict[str, str] = {}
    for item in home.columns:
        kinds.setdefault(re.sub(r"\d+", "", item.name), item.name)
    names = list(kinds.values())
    at = np.unique(np.linspace(0, len(names) - 1, min(ROWS, len(names))).round().astype(int))
    return [names[k] for k in at]


def plot_values(home: Dataset) -> dict[str, F4]:
    """What is drawn: the chosen columns over the day, in the precision they are stored in."""
    world = plot_world(home)
    lane = world.pairs.index(PAIR)
    found = world.values(home, DAY_SHOWN, DAY_SHOWN + DAY, chosen(home))
    return {name: value[:, lane].astype(np.float32) for name, value in found.items()}


def plot_mark(values: Mapping[str, F4]) -> str:
    """Hash of what is drawn, kept in the drawing so that a stale one is found."""
    digest = hashlib.sha256()
    for name, value in values.items():
        digest.update(name.encode() + np.nan_to_num(value, nan=-1e30).tobytes())
    return digest.hexdigest()[:32]


def family_plot(home: Dataset, values: Mapping[str, F4]) -> str:
    """An SVG file of small multiples."""
    world = plot_world(home)
    grid = world.calendar.grid(DAY_SHOWN, DAY_SHOWN + DAY)
    hours = (grid.minute - DAY_SHOWN) / 60.0
    price = world.panel(world.calendar.segment_start(DAY_SHOWN), DAY_SHOWN + DAY).close[
        -len(hours) :, world.pairs.index(PAIR)
    ]
    units = {item.name: item.unit for item in home.columns}
    with drawing(8.4, 1.0 + 0.95 * (1 + len(values))) as figure:
        axes: list[Axes] = list(np.ravel(figure.subplots(1 + len(values), 1, sharex=True)))
        lines: list[tuple[str, F8, str, str]] = [("price", price, "", SOFT)]
        lines += [(name, value.astype(np.float64), units[name], ACCENT) for name, value in values.items()]
        for ax, (name, value, unit, colour) in zip(axes, lines, strict=True):
            quiet_axes(ax)
            ax.plot(*thin(hours, value, POINTS), color=colour, linewidth=0.9)
            ax.set_title(f"{name}  {unit}".strip(), loc="left", fontsize=8, color=SOFT, pad=3)
            ax.margins(x=0)
        axes[-1].set_xlabel("hour (UTC) of a simulated day", fontsize=8)
        figure.tight_layout(h_pad=0.5)
        add_stamp(figure, "SIMULATED")
        text = _file(figure)
    return text.replace("<svg ", f"<!-- values: {plot_mark(values)} --><svg ", 1)


def _file(figure: Figure) -> str:
    """SVG with its own colours on white, for pages that give it none."""
    out = io.StringIO()
    figure.savefig(
        out, format="svg", facecolor="white", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    svg = re.sub(r"(\d\.\d)\d+", r"\1", out.getvalue())  # tenths of a point are enough
    return re.sub(r">\s*\n\s*<", "><", svg[svg.index("<svg") :].strip()) + "\n"

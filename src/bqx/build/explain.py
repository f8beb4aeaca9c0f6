"""Explain one value of a project: load just the bars it can see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bqx.build.fits import StoredFits, held_fits
from bqx.build.gather import anchors, gather
from bqx.build.loader import load_panel
from bqx.features.catalogue import column, earliest
from bqx.features.explain import Explanation, explain_absent, no_row
from bqx.features.explain import explain as explain_value
from bqx.features.streams import Streams
from bqx.market.pairs import parse_pair
from bqx.market.panel import NEVER

if TYPE_CHECKING:
    from bqx.build.project import Project


def explain(project: Project, name: str, pair: str, minute: int) -> Explanation:
    """Inputs, window, anchor and value of `dataset.column` of a pair at a minute, or why it is NULL.

    Raises UsageError for an unknown column or pair.
    """
    home, item = column(name)
    lane = parse_pair(pair).name
    inputs, _ = gather(project)
    first, last = inputs.spans.get(lane, (NEVER, -1))
    absent = no_row(project.calendar, minute, first, last)
    if absent:
        return explain_absent(home, item, lane, minute, absent)
    begin = earliest(home, minute, project.calendar, [item.name])
    lanes = inputs.pairs if "panel" in home.uses else (lane,)
    panel = load_panel(project.bars, inputs, lanes, begin, minute + 1, quotes="quotes" in home.uses)
    fits = StoredFits(inputs, held_fits(project.manifest, [home.name])) if home.fits else None
    streams = Streams(panel, project.calendar, anchors(inputs), fits)
    return explain_value(home, item, streams, minute, lane)

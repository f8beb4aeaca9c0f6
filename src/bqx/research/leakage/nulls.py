"""L13: stored NULLs lie where calendar, gaps and warm-up predict them, and lagged ones where their base's do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bqx.build.gather import anchors
from bqx.features.support import Mask, Support, View
from bqx.market.panel import make_panel
from bqx.research.leakage.recompute import ROWS, Recompute
from bqx.research.leakage.result import LeakResult

if TYPE_CHECKING:
    from bqx.features.declare import Dataset as Home


def l13_nulls(r: Recompute, days: int = 5) -> LeakResult:
    """The declared pattern, from counts that share no code with the kernels, over the last `days` before a cut; and
    every candidate's lag pattern, over the same rows."""
    _, end = r.cut(0.9)
    calendar = r.inputs.calendar
    start = calendar.at_ordinal(calendar.ordinal(end) - days * 1440 - ROWS)
    compared = wrong = 0
    first = ""
    everyone, alone = tuple(r.inputs.pairs), (r.pair,)
    groups = [("panel" in home.uses, home) for home in r.homes]
    for pairs, homes in ((everyone, [h for p, h in groups if p]), (alone, [h for p, h in groups if not p])):
        for name, odd, count in _stored_pattern(r, homes, pairs, start, end):
            wrong, compared = wrong + odd, compared + count
            first = first or (name if odd else "")
    names = {h.name for h in r.homes}
    chosen = [c for c in r.dataset.candidates if c.dataset in names]
    base = {c.name: k for k, c in enumerate(chosen) if c.lag == 0}
    lagged = [(k, c, base[f"{c.dataset}.{c.column}"]) for k, c in enumerate(chosen) if c.lag]
    for block in r.dataset.blocks(r.pair, chosen):
        null = np.isnan(block.X)
        for k, c, own in lagged:
            want = null[: -c.lag, own] | (block.seg_age[c.lag :] < c.lag)
            odd = int((null[c.lag :, k] != want).sum())
            wrong, compared = wrong + odd, compared + len(want)
            first = first or (c.name if odd else "")
    return LeakResult("L13", "NULL pattern", compared, wrong, f"first {first}" if wrong else f"{len(names)} datasets")


def _stored_pattern(
    r: Recompute, homes: list[Home], pairs: tuple[str, ...], start: int, end: int
) -> list[tuple[str, int, int]]:
    if not homes:
        return []
    from bqx.features.catalogue import earliest

    calendar = r.inputs.calendar
    begin = min(earliest(h, start, calendar) for h in homes)
    spans = {p: s for p, s in r.inputs.spans.items() if p in pairs}
    panel = make_panel(
        r.project.bars.read(list(pairs), begin, end, as_of=r.dataset.as_of),
        pairs,
        calendar.grid(begin, end),
        first={p: s[0] for p, s in spans.items()},
        last={p: s[1] for p, s in spans.items()},
        quotes=any("quotes" in h.uses for h in homes),
    )
    view = View(panel, calendar, anchors(r.inputs).minutes(pairs))
    skip, lane = panel.grid.index(start), pairs.index(r.pair)
    masks: dict[Support, Mask] = {}
    out = []
    for home in homes:
        stored = r.stored(home, start, end)
        for item in home.columns:
            if item.support not in masks:
                masks[item.support] = item.expected(view)
            want, have = masks[item.support][skip:, lane], np.isfinite(stored[item.name])
            odd = have & ~want if "may_be_undefined" in item.tags else have != want
            out.append((f"{home.name}.{item.name}", int(odd.sum()), len(have)))
    return out

"""The series of the correlation family: how its columns are computed.

x is dy of the rate stream and M of the bqx stream, without minutes whose price is carried for more than two. Lanes are
worked on in the order of their names, so that a project's order of pairs moves no bit.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bqx.features.by_name import ByName
from bqx.features.groups import Group, Members, members
from bqx.features.kernels.group_correlation import Groups, group_correlations, groups_of
from bqx.features.kernels.group_moments import group_moments, member_lists
from bqx.features.kernels.lags import lag_inside
from bqx.features.kernels.moments import centre, over
from bqx.features.kernels.oscillators import ratio
from bqx.features.kernels.products import correlations
from bqx.features.kernels.scores import scores_across
from bqx.features.panel_support import STALE
from bqx.features.streams import Domain, Streams
from bqx.features.support import needed

F8 = NDArray[np.float64]

GROUPS: tuple[Group, ...] = ("base", "quote", "cross")
LONG, DAY = 240, 1440
BACK = 15
"""Bars of the deviation and of the score of a correlation, and of its change."""


class Correlations:
    """Arrays (n, pairs) of one panel and domain, NaN for NULL; lanes in the order of names."""

    def __init__(self, streams: Streams, domain: Domain) -> None:
        panel = streams.panel
        self.age = panel.grid.seg_age
        self.lanes = ByName(panel.pairs)
        stream = streams.stream(domain)
        self.y = self.lanes.sort(stream.close)
        self.series = self.lanes.sort(stream.change if domain == "rate" else stream.close)
        self.x = np.where(self.lanes.sort(panel.fill_run) > STALE, np.nan, self.series)
        self._found: dict[int, tuple[F8, ...]] = {}

    @cached_property
    def groups(self) -> dict[Group, Members]:
        return {group: members(self.lanes.names, group) for group in GROUPS}

    @cached_property
    def _lists(self) -> tuple[Groups, Groups, Groups]:
        base, quote, cross = (groups_of(g.signs, g.whole) for g in self.groups.values())
        return base, quote, cross

    def corr(self, group: Group, w: int) -> F8:
        if w not in self._found:
            self._found[w] = group_correlations(self.x, self.age, w, needed(w), self._lists)
        return self._found[w][GROUPS.index(group)]

    def corr_delta(self, group: Group, w: int) -> F8:
        return lag_inside(self.corr(group, w), self.age, BACK)

    def corr_z(self, group: Group, w: int) -> F8:
        return scores_across(self.corr(group, w), self.age, DAY, needed(DAY))

    def corr_stability(self, group: Group, w: int) -> F8:
        return centre(self.corr(group, w), self.age, LONG, needed(LONG), 1)[2]

    def _across(self, x: F8, group: Group, *, turned: bool = True) -> tuple[F8, ...]:
        """Mean and deviation across the group."""
        found = self.groups[group]
        return group_moments(x, member_lists(found.signs if turned else np.abs(found.signs), found.whole))

    def rel_strength(self, group: Group, w: int) -> F8:
        change = lag_inside(self.y, self.age, w)
        mean, deviation = self._across(change, group)
        return over(change - mean, deviation)

    def divergence(self, group: Group, w: int) -> F8:
        return self._across(lag_inside(self.y, self.age, w), group)[1]

    def lead_lag(self, group: Group, w: int) -> F8:
        g = self._across(self.x, group)[0]
        return self._correlation(self._before(g), self.x, w) - self._correlation(self._before(self.x), g, w)

    def _before(self, x: F8) -> F8:
        """The value one bar before in the segment."""
        out = np.full(x.shape, np.nan)
        out[1:] = x[:-1]
        out[self.age == 0] = np.nan
        return out

    def _correlation(self, a: F8, b: F8, w: int) -> F8:
        null, out = np.isnan(a) | np.isnan(b), np.empty(a.shape)
        correlations(np.where(null, np.nan, a), np.where(null, np.nan, b), self.age, w, needed(w), out)
        return out

    def vol_ratio(self, group: Group, w: int) -> F8:
        deviation = centre(self.series, self.age, w, needed(w), 1)[2]
        return ratio(deviation, self._across(deviation, group, turned=False)[0])

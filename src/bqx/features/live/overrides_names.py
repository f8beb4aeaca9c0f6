"""What depends on the names of pairs and columns alone, worked out once in place of at every minute."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.features.families import error_correction_series as relations
from bqx.features.families.correlation_series import GROUPS
from bqx.features.families.error_correction_support import bridge, others
from bqx.features.groups import Group, Members, members
from bqx.features.kernels.group_correlation import Groups, groups_of
from bqx.features.kernels.group_moments import Lists, group_moments, member_lists
from bqx.features.kernels.members import parity, parity_of_levels
from bqx.features.live.copies import OVERRIDES, override

F8 = NDArray[np.float64]


@lru_cache(maxsize=64)
def _members(pairs: tuple[str, ...], group: Group) -> Members:
    return members(pairs, group)


@lru_cache(maxsize=16)
def _groups(pairs: tuple[str, ...]) -> tuple[Groups, ...]:
    return tuple(groups_of(found.signs, found.whole) for found in (_members(pairs, group) for group in GROUPS))


@lru_cache(maxsize=64)
def _lists(pairs: tuple[str, ...], group: Group, turned: bool) -> Lists:
    found = _members(pairs, group)
    return member_lists(found.signs if turned else np.abs(found.signs), found.whole)


def lists(self: Any) -> tuple[Groups, ...]:
    return _groups(self.lanes.names)


OVERRIDES["correlation_series.Correlations._lists"] = property(lists)


@override("correlation_series.Correlations._across")
def across(self: Any, x: F8, group: Group, *, turned: bool = True) -> tuple[F8, ...]:
    return group_moments(x, _lists(self.lanes.names, group, turned))


@lru_cache(maxsize=16)
def _triangles(pairs: tuple[str, ...], name: str) -> relations.Members:
    thirds = [(bridge(pair),) if name == "tri1" else others(pair) for pair in pairs]
    return relations._triangles(pairs, thirds)


@override("error_correction_series.Relations._parity")
def parities(self: Any, name: str) -> F8:
    lanes, signs = _triangles(self.pairs, name)
    if self.domain == "rate":
        return parity(self.streams.panel.close, lanes, signs)
    return parity_of_levels(self.level, lanes, signs)


def index_scale(streams: Any) -> tuple[NDArray[np.bool_], F8]:
    """Whether each row and pair has its baseline behind it, and 100 / baseline; once a block."""
    found: tuple[NDArray[np.bool_], F8] | None = vars(streams).get("_index_scale")
    if found is None:
        pairs = streams.panel.pairs
        known = streams.panel.grid.minute[:, None] >= streams.anchors.minutes(pairs)[None, :]
        found = known, 100.0 / streams.anchors.mids(pairs)
        vars(streams)["_index_scale"] = found
    return found


@override("bollinger._index")
def index(streams: Any, rate: bool, value: F8) -> F8:
    if not rate:
        return value
    known, scale = index_scale(streams)
    return np.where(known, value * scale, np.nan)

"""Which pairs of a panel stand for a pair's base currency, its quote currency and the rest of the market."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bqx.market.pairs import PAIRS, parse_pair

Group = Literal["base", "quote", "cross"]
"""base, quote : the 6 other pairs that hold the pair's base (quote) currency. cross : the 15 that hold neither."""

LEAST = 20
"""Valid pairs that a statistic of the whole panel needs."""


@dataclass(frozen=True)
class Members:
    """signs : int8 (pairs, pairs); row j holds, for the panel's pair j, +1 or -1 for the members of its group, turned
    so that each stands to the group's currency as the pair itself does (`cross` members are not turned), 0 for others.
    whole : whether the panel has all members, (pairs,). missing : those it lacks."""

    signs: NDArray[np.int8]
    whole: NDArray[np.bool_]
    missing: tuple[tuple[str, ...], ...]


def canonical(pairs: tuple[str, ...]) -> NDArray[np.int64]:
    """Lanes in the order of the pairs' names: what is added up over pairs is added in this order, so that bits do not
    depend on how a project lists them."""
    return np.array(sorted(range(len(pairs)), key=lambda j: pairs[j]), dtype=np.int64)


def members(pairs: tuple[str, ...], group: Group) -> Members:
    """The group of each of the panel's pairs."""
    signs = np.zeros((len(pairs), len(pairs)), dtype=np.int8)
    missing = []
    for j, name in enumerate(pairs):
        turned = {other: sign for other in PAIRS if (sign := _sign(name, other, group))}
        for k, other in enumerate(pairs):
            signs[j, k] = turned.get(other, 0)
        missing.append(tuple(other for other in turned if other not in pairs))
    return Members(signs, np.array([not m for m in missing], dtype=bool), tuple(missing))


def _sign(name: str, other: str, group: Group) -> int:
    """+1 or -1 for a member of the group of `name`, 0 for others."""
    own, its = parse_pair(name), parse_pair(other)
    if name == other:
        return 0
    if group == "cross":
        return int(not {own.base, own.quote} & {its.base, its.quote})
    if group == "base":
        return (its.base == own.base) - (its.quote == own.base)
    return (its.quote == own.quote) - (its.base == own.quote)

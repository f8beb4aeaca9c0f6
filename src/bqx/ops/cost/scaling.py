"""Instances that a scaling policy runs, minute by minute through a week, for many draws of the traffic at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CostInputError

F8 = NDArray[np.float64]
WEEK = 7 * 1440


@dataclass(frozen=True, slots=True)
class Policy:
    """least, most : instances. target : requests a minute that one shall have. Cooldowns and start-up in minutes."""

    least: int
    most: int
    target: float
    out: int
    into: int
    start: int

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most or self.target <= 0 or min(self.out, self.into, self.start) < 0:
            raise CostInputError(f"a scaling policy of {self} makes no sense", where="[scaling]")


@dataclass(frozen=True)
class Scaled:
    """Of a week, one value a draw. hours : instance-hours billed. peak : most instances. late : share of requests that
    came while the instances in service had more than their target each. minutes : instances by minute of the first
    draw, shape (10,080,)."""

    hours: F8
    peak: F8
    late: F8
    minutes: F8


def simulate(load: Callable[[int], F8], policy: Policy, draws: int) -> Scaled:
    """Target tracking: as many instances as bring each to its target, at once upwards, one at a time downwards, not
    before the cooldown since the last change. A new instance is billed at once and answers `start` minutes later.

    load : requests in a minute of the week, shape (draws,). The week begins after a quiet week end with the least.
    """
    now = np.full(draws, float(policy.least))
    changed = np.full(draws, -WEEK)
    waiting = [now.copy() for _ in range(policy.start)]
    hours, peak, late, asked = (np.zeros(draws) for _ in range(4))
    first = np.empty(WEEK)
    for t in range(WEEK):
        requests = load(t)
        wanted = np.clip(np.ceil(requests / policy.target), policy.least, policy.most)
        up = (wanted > now) & (t - changed >= policy.out)
        down = (wanted < now) & (t - changed >= policy.into)
        now = np.where(up, wanted, np.where(down, now - 1, now))
        changed = np.where(up | down, t, changed)
        waiting.append(now)
        ready = np.minimum(waiting.pop(0), now)
        over = np.where(requests > ready * policy.target, requests, 0.0)
        hours += now / 60
        late += over
        asked += requests
        peak = np.maximum(peak, now)
        first[t] = now[0]
    return Scaled(hours, peak, late / np.maximum(asked, 1e-12), first)

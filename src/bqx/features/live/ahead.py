"""Estimates that come into force at the next minute, made before it: over the week end, not while it is waited for."""

from __future__ import annotations

from collections.abc import Iterable

from bqx.features.declare import Dataset
from bqx.features.fits import Fit, fitted
from bqx.features.live.past import Past
from bqx.features.refresh import point_before
from bqx.features.streams import Streams
from bqx.market.calendar import Calendar


def due(homes: Iterable[Dataset], minute: int, calendar: Calendar) -> list[Fit]:
    """Fits whose next calendar point is the open minute `minute`."""
    every = {fit.name: fit for home in homes for fit in home.fits}
    return [fit for fit in every.values() if point_before(minute, fit.every, calendar) == minute]


def make_ahead(homes: Iterable[Dataset], past: Past, minute: int) -> int:
    """Make what is due at `minute`, the open minute after the last of the past, and keep it on the past's shelf; how
    many estimates. A fit sees rows before its point only, so that one without bars stands for it."""
    calendar, made = past.calendar, 0
    for fit in due(homes, minute, calendar):
        first = fit.earliest(minute, calendar)
        begin = past.begin
        if begin is None or begin > first:
            continue  # made, or found to be impossible, when its minute comes
        panel = past.panel(first, more=1)
        fitted(fit, Streams(panel, calendar, past.anchors, past.fits), len(panel.grid) - 1)
        made += len(panel.pairs)
    return made

"""A simulated market: 28 arbitrage-free pairs from 8 currency values, the same bytes on every machine.

See docs/simulated-market.md for the model. Nothing made here may be shown without the word simulated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import polars as pl

from bqx.base.errors import UsageError
from bqx.market.bars import BARS_SCHEMA
from bqx.market.calendar import Calendar, datetime_of, minute_of
from bqx.market.pairs import PAIRS, parse_pair
from bqx.market.sim_path import F8, KAPPA, RHO, SIGMA, begin, walk
from bqx.market.sim_quotes import FIELDS, PairTraits, quote
from bqx.market.sim_sessions import seasons

Flavour = Literal["random-walk", "planted"]
FLAVOURS: tuple[Flavour, ...] = ("random-walk", "planted")
VERSION = 1
"""Raised whenever a bit of the output changes."""

ORIGIN = minute_of(datetime(2023, 1, 1, tzinfo=UTC))
"""Paths begin here unless told; what is asked for later is walked to, not started afresh."""

_seen: dict[tuple[Calendar, int, str, int], dict[int, F8]] = {}
_SEEN_LIMIT = 64


def simulate(
    calendar: Calendar,
    start_minute: int,
    end_minute: int,
    *,
    seed: int,
    flavour: Flavour = "random-walk",
    pairs: Sequence[str] = PAIRS,
    origin_minute: int = ORIGIN,
) -> dict[str, pl.DataFrame]:
    """Bars (BARS_SCHEMA, with quotes) of the open minutes of [start_minute, end_minute), one frame a pair.

    The bars of a minute depend on seed, flavour, origin and the calendar's open days since the origin, and on
    nothing else: asking month by month, for fewer pairs or for a longer span gives the same bits.
    Raises UsageError for an unknown flavour or pair, a seed outside 0..2^63-1, or a start before the origin.
    """
    if flavour not in FLAVOURS:
        raise UsageError(f"unknown flavour {flavour!r}", fix=f"one of {', '.join(FLAVOURS)}")
    if not 0 <= seed < 2**63:
        raise UsageError(f"seed {seed} is outside 0..2^63-1")
    if start_minute < origin_minute:
        raise UsageError(
            f"simulation asked from {datetime_of(start_minute):%Y-%m-%d}, before its origin",
            fix=f"start on {datetime_of(origin_minute):%Y-%m-%d} or later, or give an earlier origin_minute",
        )
    names = [parse_pair(p).name for p in pairs]
    kappa = KAPPA if flavour == "planted" else 0.0
    grid = calendar.grid(start_minute, end_minute)
    state = _state_at(calendar, start_minute, seed, flavour, origin_minute)
    season, profiles = seasons(grid)
    path = np.empty((len(grid), 3, 8))
    walk(seed, kappa, state, grid.minute, grid.seg_age, grid.minute_of_day, season, profiles, path)
    _remember((calendar, seed, flavour, origin_minute), end_minute, state)
    out = {}
    for name in names:
        t = PairTraits(name)
        ts, fields = np.empty(len(grid), np.int64), np.empty((FIELDS, len(grid)))
        rows = quote(
            seed, t.number, t.base, t.quote, t.scale, t.spread, t.ticks, t.missing,
            grid.minute, grid.seg_age, grid.minute_of_day, season, profiles, path, SIGMA, ts, fields,
        )  # fmt: skip
        columns = [pl.Series("ts_utc", ts[:rows]).cast(BARS_SCHEMA["ts_utc"])]
        columns += [pl.Series(c, fields[k, :rows]) for k, c in enumerate(list(BARS_SCHEMA)[1:])]
        out[name] = pl.DataFrame(columns)
    return out


def simulated_source(seed: int, flavour: Flavour = "random-walk", origin_minute: int = ORIGIN) -> dict[str, Any]:
    """The source record of simulated bars: says `simulated` and how to make them again."""
    return {
        "vendor": "bqx simulated market",
        "format": "simulated",
        "price_side": "mid of bid+ask",
        "licence": "none needed: made by bqx",
        "files": [],
        "clock": {"offset": "UTC", "established": "by construction"},
        "simulated": True,
        "seed": seed,
        "flavour": flavour,
        "version": VERSION,
        "origin": datetime_of(origin_minute).isoformat(),
    }


def _state_at(calendar: Calendar, minute: int, seed: int, flavour: Flavour, origin: int) -> F8:
    """State of the path before `minute`: walked from the origin, or from the latest earlier call."""
    key = (calendar, seed, flavour, origin)
    known = _seen.get(key, {})
    at = max((m for m in list(known) if m <= minute), default=-1)
    state = known[at].copy() if at >= 0 else begin(seed, origin)
    grid = calendar.grid(at if at >= 0 else origin, minute)
    if len(grid):
        season, profiles = seasons(grid)
        none = np.empty((0, 3, 8))
        kappa = KAPPA if flavour == "planted" else 0.0
        walk(seed, kappa, state, grid.minute, grid.seg_age, grid.minute_of_day, season, profiles, none)
    _remember(key, minute, state)
    return state


def _remember(key: tuple[Calendar, int, str, int], minute: int, state: F8) -> None:
    if sum(len(states) for states in list(_seen.values())) >= _SEEN_LIMIT:
        _seen.clear()
    _seen.setdefault(key, {})[minute] = state.copy()


def planted_skill(horizon: int) -> float:
    """Best skill on M_h(t + h) in the planted flavour: momentum S known, volatility constant, no jumps, no rounding.

    M_h(t + h) is the sum of k x(t + k) / c, k = 1..h, and S has autocorrelation g**k, g = RHO + KAPPA sqrt(1 - RHO^2).
    """
    gain = math.sqrt(1.0 - RHO * RHO)
    g = RHO + KAPPA * gain
    weight = np.arange(1, horizon + 1, dtype=np.float64)
    known = KAPPA * float((weight * g ** (weight - 1)).sum())
    shocks = [k + KAPPA * gain * float((weight[k:] * g ** (weight[k:] - 1 - k)).sum()) for k in range(1, horizon + 1)]
    explained = known * known * gain * gain / (1.0 - g * g)
    return explained / (explained + float(np.square(shocks).sum()))

"""Half-spreads of every bar: from its quotes, else assumed and estimated, and then said to be so."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.market.calendar import Calendar
from bqx.market.pairs import PAIRS, parse_pair
from bqx.research.backtest.sessions import session_codes
from bqx.research.backtest.spread_estimators import abdi_ranaldo, corwin_schultz, edge, roll

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
PIPS: Mapping[str, float] = {
    "eurusd": 0.8, "usdjpy": 0.9, "gbpusd": 1.1, "audusd": 1.0, "nzdusd": 1.4, "usdcad": 1.2, "usdchf": 1.3,
    "eurgbp": 1.1, "eurjpy": 1.4, "eurchf": 1.6, "euraud": 2.0, "eurcad": 2.0, "eurnzd": 2.8, "gbpjpy": 2.2,
    "gbpchf": 2.4, "gbpaud": 2.7, "gbpcad": 2.7, "gbpnzd": 3.6, "audjpy": 1.7, "audcad": 2.0, "audchf": 2.0,
    "audnzd": 2.2, "nzdjpy": 2.1, "nzdcad": 2.4, "nzdchf": 2.5, "cadjpy": 1.9, "cadchf": 2.2, "chfjpy": 2.2,
}  # fmt: skip
"""Assumed spread in the London session, in pips: of the size retail venues advertise, rounded up. An assumption, not a
measurement; what rests on it is flagged as estimated."""
BY_SESSION = (1.5, 1.3, 1.0, 1.1, 0.9, 4.0)
"""The same assumption's shape over the day, by `sessions.NAMES`."""
TRAILING = 22
"""Trade days before today that an estimate looks back over."""


def quoted_halves(frame: pl.DataFrame) -> tuple[F8, F8]:
    """Half-spread at the open and at the close of each bar, bps of the mid; NaN without quotes or with crossed ones."""
    out = []
    for name in ("open", "close"):
        ask, bid, mid = (frame[k].fill_null(np.nan).to_numpy() for k in (f"ask_{name}", f"bid_{name}", name))
        half = 0.5e4 * (ask - bid) / mid
        out.append(np.where(half >= 0.0, half, np.nan))
    return out[0], out[1]


def assumed_half(pair: str, price: F8, day: I8, minute_of_day: I8) -> F8:
    """PIPS and BY_SESSION as half-spreads in bps, (n,)."""
    pip = 0.01 if parse_pair(pair).quote == "jpy" else 0.0001
    shape = np.array(BY_SESSION)[session_codes(day, minute_of_day)]
    return np.asarray(0.5e4 * PIPS[pair] * pip / price * shape)


def daily_edge(frame: pl.DataFrame, calendar: Calendar) -> dict[int, float]:
    """Signed squared spread (bps^2) of each trade day by EDGE; days whose bars show nothing are left out."""
    minute, day, ohlc = _parts(frame, calendar)
    out = {}
    for d in np.unique(day):
        rows = day == d
        spread = edge(*_broken(minute[rows], [x[rows] for x in ohlc]), signed=True)
        if math.isfinite(spread):
            out[int(d)] = math.copysign((1e4 * spread) ** 2, spread)
    return out


def trailing_half(squares: Mapping[int, float], day: I8) -> F8:
    """Half-spread known before each trade day: root of the mean square of the TRAILING days with one before it, 0 when
    there are fewer than five or the mean is not positive. bps, (n,)."""
    days = np.array(sorted(squares), np.int64)
    values = np.array([squares[int(d)] for d in days])
    out: dict[int, float] = {}
    for d in np.unique(day):
        at = int(np.searchsorted(days, d))
        window = values[max(at - TRAILING, 0) : at]
        mean = float(window.mean()) if len(window) >= 5 else 0.0
        out[int(d)] = 0.5 * math.sqrt(max(mean, 0.0))
    return np.array([out[int(d)] for d in day])


@dataclass(frozen=True, slots=True)
class Estimates:
    """Spreads (bps) that the prices of a pair show, by four estimators over all bars, beside the assumed one."""

    pair: str
    roll: float
    corwin_schultz: float
    abdi_ranaldo: float
    edge: float
    assumed: float


def estimates(pair: str, frame: pl.DataFrame, calendar: Calendar) -> Estimates:
    """All four of one pair; bars that are not neighbours in time are not compared."""
    minute, day, ohlc = _parts(frame, calendar)
    o, h, l, c = _broken(minute, ohlc)
    assumed = 2.0 * float(np.median(assumed_half(pair, ohlc[3], day, np.full(len(day), 900))))
    found = (roll(c), corwin_schultz(h, l), abdi_ranaldo(h, l, c), edge(o, h, l, c))
    a, b, d, e = (1e4 * x for x in found)
    return Estimates(pair, roll=a, corwin_schultz=b, abdi_ranaldo=d, edge=e, assumed=assumed)


def _parts(frame: pl.DataFrame, calendar: Calendar) -> tuple[I8, I8, list[F8]]:
    minute = frame["ts_utc"].to_physical().to_numpy() // 60_000_000
    grid = calendar.grid(int(minute[0]), int(minute[-1]) + 1)
    at = np.searchsorted(grid.minute, minute)
    ok = grid.minute[np.minimum(at, len(grid) - 1)] == minute
    day = grid.day[np.minimum(at, len(grid) - 1)].astype(np.int64)
    return minute[ok], day[ok], [frame[k].to_numpy()[ok] for k in ("open", "high", "low", "close")]


def _broken(minute: I8, columns: list[F8]) -> list[F8]:
    """The columns with a NaN row wherever two bars are not neighbours."""
    breaks = np.flatnonzero(np.diff(minute) != 1) + 1
    return [np.insert(x, breaks, np.nan) for x in columns]


if set(PIPS) != set(PAIRS):
    raise RuntimeError("the table of assumed spreads must name the 28 pairs")

"""Are the data themselves in order? Pure checks of one pair's bars and of one dataset's columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import MonitorInputError
from bqx.serve.monitor.finding import Finding

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


@dataclass(frozen=True)
class HealthLimits:
    """stale_bars : open minutes the newest bar may lag. gap_rate : open minutes without a bar, share of a day.

    flat_bars : bars in a row without any price change. spread_ratio : median spread of the day to that of the reference
    at the same hours. null_rate : rise of a column's NULL share over the reference. clock_s : seconds a source's clock
    may be off.
    """

    stale_bars: int = 10
    gap_rate: float = 0.10
    flat_bars: int = 60
    spread_ratio: float = 3.0
    null_rate: float = 0.05
    clock_s: float = 5.0


def staleness(pair: str, newest: int, now: int, open_minutes: I8, limits: HealthLimits) -> list[Finding]:
    """newest : label of the newest bar; now : minute of the clock. open_minutes : sorted, from `newest` to `now`.

    A bar labelled m is complete at m + 1; closed minutes are no age.
    """
    age = int(((open_minutes > newest) & (open_minutes < now)).sum())
    if age <= limits.stale_bars:
        return []
    what = f"the newest bar of {pair} is {age:,} open minutes old"
    return [Finding("stale", pair, "critical", what, age, limits.stale_bars)]


def gaps(pair: str, minute: I8, open_minutes: I8, limits: HealthLimits) -> list[Finding]:
    """Open minutes that have no bar."""
    if not len(open_minutes):
        return []
    rate = 1.0 - float(np.isin(open_minutes, minute).mean())
    if rate <= limits.gap_rate:
        return []
    what = f"{100 * rate:.1f} % of the open minutes of {pair} have no bar"
    return [Finding("gaps", pair, "warning", what, rate, limits.gap_rate)]


def duplicates(pair: str, minute: I8) -> list[Finding]:
    """Labels seen twice, or out of order."""
    wrong = int((np.diff(minute) <= 0).sum())
    if not wrong:
        return []
    return [Finding("duplicates", pair, "critical", f"{wrong:,} bars of {pair} are double or out of order", wrong, 0)]


def flat_line(pair: str, high: F8, low: F8, close: F8, limits: HealthLimits) -> list[Finding]:
    """The longest run of bars without any price change: a feed that repeats its last price."""
    still = (high == low) & (np.diff(close, prepend=np.nan) == 0.0)
    ends = np.flatnonzero(np.diff(np.r_[False, still, False].astype(np.int8)))
    longest = int((ends[1::2] - ends[::2]).max()) if len(ends) else 0
    if longest < limits.flat_bars:
        return []
    what = f"the price of {pair} did not move for {longest:,} bars"
    return [Finding("flat", pair, "critical", what, longest, limits.flat_bars)]


def spread_regime(
    pair: str, spread: F8, hour: I8, reference: F8, reference_hour: I8, limits: HealthLimits
) -> list[Finding]:
    """Median of spread over the reference's median of its hour (0..23); NaN where a bar has no quote."""
    usual = np.full(24, np.nan)
    for h in range(24):
        mine = reference[(reference_hour == h) & np.isfinite(reference)]
        usual[h] = np.median(mine) if len(mine) else np.nan
    ratio = spread / usual[hour]
    ratio = ratio[np.isfinite(ratio)]
    if not len(ratio):
        return []
    found = float(np.median(ratio))
    if 1.0 / limits.spread_ratio <= found <= limits.spread_ratio:
        return []
    return [Finding("spread", pair, "warning", f"the spread of {pair} is {found:.2f} times the usual of its hours",
                    found, limits.spread_ratio)]  # fmt: skip


def clock_skew(subject: str, said: float, known: float, limits: HealthLimits) -> list[Finding]:
    """said : what a server's clock or a bar's arrival says, known : ours; both seconds since 1970."""
    off = said - known
    if abs(off) <= limits.clock_s:
        return []
    return [Finding("clock", subject, "critical", f"the clock of {subject} is off by {off:+.1f} s",
                    abs(off), limits.clock_s)]  # fmt: skip


def null_rates(
    pair: str, counts: Mapping[str, tuple[int, int]], reference: Mapping[str, tuple[int, int]], limits: HealthLimits
) -> list[Finding]:
    """counts, reference : column -> (NULLs, rows). One finding a pair, which names the worst column."""
    rises: list[tuple[float, str]] = []
    for name, (null, rows) in counts.items():
        before, base = reference.get(name, (0, 0))
        if not 0 <= null <= rows or not 0 <= before <= base:
            raise MonitorInputError(f"{null} NULLs of {rows} rows, {before} of {base} before", where=name)
        if rows and base:
            rises.append((null / rows - before / base, name))
    bad = sorted((r, n) for r, n in rises if r > limits.null_rate)
    if not bad:
        return []
    rise, name = bad[-1]
    what = f"{len(bad):,} columns of {pair} have more NULLs than before, the worst is {name}: {100 * rise:+.1f} points"
    return [Finding("nulls", pair, "warning", what, rise, limits.null_rate)]

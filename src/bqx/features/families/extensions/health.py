"""health: what is watched of the bars themselves, from the past alone; 10 columns, an extension."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import EXTENSION, Column, Dataset
from bqx.features.families.extensions.health_reference import reference
from bqx.features.families.extensions.health_support import Begun, DaysBefore, Quoted
from bqx.features.kernels.drift import drift, mean_across, recent_share, standing
from bqx.features.kernels.levels import BPS
from bqx.features.kernels.quadratic import parabola
from bqx.features.kernels.squares import root_sum_of_squares
from bqx.features.streams import PRICE, Streams
from bqx.features.support import All, Always, Quote, Support, Window, needed
from bqx.market.panel import bars_in_stream

F8 = NDArray[np.float64]

HOUR, DAY, DAYS = 60, 1440, 20
SHORT, LONG = 20, 240
STALE = 5
"""Minutes after which an unchanged quote is stale."""
MUCH = 0.25
"""Share of missing minutes above which a pair is unhealthy."""
FAR = 3.0
PENALTY = 0.1

ZERO_OK, UNDEFINED = frozenset({"zero_ok"}), frozenset({"may_be_undefined"})

HOURLY = Window(PRICE, HOUR, "SEG")
WATCHED: dict[str, tuple[Support, str]] = {
    "vol": (HOURLY, f"RV_{HOUR} = sqrt(sum dy^2)"),
    "spread": (All((Quote(), PRICE)), "s = 10^4 (ask - bid) / mid"),
    "curv": (HOURLY, f"second derivative of the least-squares parabola through y, {HOUR} bars"),
}


def _drifting(name: str) -> Support:
    return DaysBefore(Window(WATCHED[name][0], DAY, "XGAP"), DAY, DAYS)


def _minutes(w: int) -> Window:
    return Window(Begun(), w, "SEG")


def _columns() -> Iterator[Column]:
    for w in (SHORT, LONG):
        yield Column(f"missing_rate_{w}", "0–1", f"share of the last {w} minutes of the segment without a quote",
                     _minutes(w), "SEG", bounds=(0.0, 1.0), tags=ZERO_OK, why_tagged="no minute was missing",
                     source="specs 5.11")  # fmt: skip
    yield Column("fill_run", "bars", "consecutive minutes without a quote", Always(), "NONE", "i4", (0, 7200), ZERO_OK,
                 "a quoted minute has none", alias_of="ohlc_rate.fill_run")  # fmt: skip
    yield Column("stale_quote_flag", "flag", f"1 if bid and ask have not changed for {STALE} minutes or more of the "
                 "segment; a missing minute changes nothing", Quoted(), "SEG", "i2", (0, 1), ZERO_OK,
                 "a flag")  # fmt: skip
    for name, (_, formula) in WATCHED.items():
        yield Column(f"drift_z_{name}", "sd", f"(m(t) - mean) / sample sd of m(t-{DAY} k), k = 1..{DAYS}; m = mean "
                     f"over {DAY} bars of {formula}", _drifting(name), "XGAP", tags=UNDEFINED,
                     why_tagged="NULL where the days do not differ")  # fmt: skip
    unusual = All(tuple(_drifting(name) for name in WATCHED))
    yield Column("unusual_flag", "flag", f"1 if at least two of the three abs(drift_z) > {FAR:g}", unusual, "XGAP",
                 "i2", (0, 1), ZERO_OK | UNDEFINED, "a flag; NULL where a drift is")  # fmt: skip
    yield Column("unhealthy_pairs", "count", f"pairs of the project with missing_rate_{SHORT} > {MUCH}, of those begun "
                 f"{SHORT} bars ago", _minutes(SHORT), "SEG", "i2", (0, 28), ZERO_OK,
                 "all pairs are quoted")  # fmt: skip
    yield Column("quality_score", "0–1", f"1 - missing_rate_{LONG} - {PENALTY} unusual_flag, at least 0",
                 All((_minutes(LONG), unusual)), "XGAP", bounds=(0.0, 1.0), tags=ZERO_OK | UNDEFINED,
                 why_tagged="0 where most minutes are missing; NULL where a drift is")  # fmt: skip


class _Watch:
    """Arrays (n, pairs) of one panel."""

    def __init__(self, streams: Streams) -> None:
        self.streams, self.panel = streams, streams.panel
        self.age = self.panel.grid.seg_age
        self._kept: dict[str, F8] = {}

    def missing(self, w: int) -> F8:
        if f"missing {w}" not in self._kept:
            flag = (self.panel.fill_run > 0).astype(np.float64)
            self._kept[f"missing {w}"] = recent_share(flag, self.age, w)
        return self._kept[f"missing {w}"]

    def watched(self, name: str) -> F8:
        s = self.streams
        if name == "vol":
            return root_sum_of_squares(s.rate_change, self.age, HOUR, needed(HOUR), False)
        if name == "curv":
            return parabola(s.rate_close, self.age, HOUR, needed(HOUR))[0]
        quotes = self.panel.quotes
        if not quotes:
            return np.full(self.panel.shape, np.nan)
        return BPS * ((quotes["ask_close"] - quotes["bid_close"]) / self.panel.close)

    def drift(self, name: str) -> F8:
        if name not in self._kept:
            days = mean_across(self.watched(name), self.age, DAY, needed(DAY))
            self._kept[name] = drift(days, DAY, DAYS)
        return self._kept[name]

    def unusual(self) -> F8:
        found = [self.drift(name) for name in WATCHED]
        many = np.zeros(self.panel.shape)
        for z in found:
            many += np.where(np.isnan(z), np.nan, np.abs(z) > FAR)
        return np.where(np.isnan(many), np.nan, many >= 2.0)

    def stale(self) -> F8:
        quotes = self.panel.quotes
        if not quotes:
            return np.full(self.panel.shape, np.nan)
        minutes = standing(quotes["bid_close"], quotes["ask_close"], self.age)
        return np.where(np.isnan(minutes), np.nan, minutes >= STALE)

    def unhealthy(self) -> F8:
        known = bars_in_stream(self.panel, self.streams.calendar) >= SHORT
        much = (self.missing(SHORT) > MUCH) & known
        count = much.sum(axis=1).astype(np.float64)[:, None]
        return np.where(np.isnan(self.missing(SHORT)), np.nan, count)

    def quality(self) -> F8:
        return np.maximum((1.0 - self.missing(LONG)) - PENALTY * self.unusual(), 0.0)


def _compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
    watch = _Watch(streams)
    found: dict[str, F8] = {}
    for name in names:
        head, _, tail = name.rpartition("_")
        if head == "missing_rate":
            found[name] = watch.missing(int(tail))
        elif head == "drift_z":
            found[name] = watch.drift(tail)
    if "fill_run" in names:
        found["fill_run"] = streams.panel.fill_run.astype(np.float64)
    for name, make in (("stale_quote_flag", watch.stale), ("unusual_flag", watch.unusual),
                       ("unhealthy_pairs", watch.unhealthy), ("quality_score", watch.quality)):  # fmt: skip
        if name in names:
            found[name] = make()
    return {name: found[name] for name in names}


DATASET = Dataset(
    family="health",
    domain="dual",
    columns=tuple(_columns()),
    compute=_compute,
    reference=reference,
    stage=EXTENSION,
    counted=False,
    summary="Missing minutes, standing quotes, days unlike those before, and a score made of them.",
    uses=frozenset({"panel", "quotes"}),
)

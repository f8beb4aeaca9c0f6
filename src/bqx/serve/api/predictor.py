"""Answers: the newest of every pair kept ready, earlier ones made when asked."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bqx.base.errors import NoPrediction
from bqx.base.runlog import event
from bqx.market.calendar import Calendar, datetime_of
from bqx.research.backtest.signal import Signal, SignalRule, signal
from bqx.research.backtest.zones import NoTrade
from bqx.serve.api.forecast import Forecasts, forecast
from bqx.serve.api.freshness import MAX_AGE, Asked, Clock, age_in_bars, asked, require_fresh, require_open
from bqx.serve.api.metrics import Metrics
from bqx.serve.api.models import ModelSet, Resident
from bqx.serve.api.source import FeatureSource, Row

KEPT = 4096
"""Forecasts kept; one has about 2 kB."""


@dataclass(frozen=True)
class Made:
    """A forecast of one row by one model, and the signal of each horizon."""

    model: Resident
    row: Row
    said: Forecasts
    signals: tuple[Signal, ...]

    @cached_property
    def best(self) -> int:
        """Place of the horizon with the strongest signal; of the middle one when all are HOLD."""
        strength = [s.strength for s in self.signals]
        top = int(np.argmax(strength))
        return top if strength[top] > 0 else len(strength) // 2


class Predictor:
    """Ties models, features, calendar and clock together; safe for threads.

    rule, zones : when a forecast becomes BUY or SELL; without a rule, as each model's run was traded on history.
    simulated : whether the bars are; every answer says so.
    """

    def __init__(
        self,
        models: ModelSet,
        source: FeatureSource,
        calendar: Calendar,
        clock: Clock,
        metrics: Metrics,
        *,
        simulated: bool,
        rule: SignalRule | None = None,
        zones: NoTrade | None = None,
    ) -> None:
        self.models, self.source, self.calendar, self.clock, self.metrics = models, source, calendar, clock, metrics
        self.simulated = simulated
        self.rule, self.zones = rule, zones or NoTrade()
        self._ready: dict[str, Made] = {}
        self._kept: OrderedDict[tuple[str, str, int, object], Made] = OrderedDict()
        self._stamp: object = None
        self._refreshed: object = None
        self._lock = threading.Lock()

    def question(self, seconds: float | None = None) -> Asked:
        """About now, or about a time in the past; NoPrediction (`closed`) while the market is."""
        found = asked(self.calendar, self.clock() if seconds is None else seconds)
        require_open(found)
        return found

    def model(self, pair: str) -> Resident:
        """NoPrediction (`no_model`) when none serves the pair."""
        found = self.models.get(pair)
        if found is None:
            raise NoPrediction("no_model", f"no model serves {pair}", fix=f"there is {', '.join(self.models.all())}")
        return found

    def ready(self, question: Asked, pair: str, *, now: bool) -> Made | None:
        """The answer when it needs no reading and no model; None when :meth:`make` must be called, in a thread."""
        model = self.model(pair)
        if now:
            made = self._ready.get(pair)
            if made is None or made.model is not model:
                return None
        else:
            with self._lock:
                made = self._kept.get((model.key, pair, question.wanted, self._stamp))
            if made is None:
                return None
        if age_in_bars(self.calendar, question, made.row.last_bar) > MAX_AGE:
            return None
        self.metrics.count("cache_hits")
        return made

    def make(self, question: Asked, pair: str) -> Made:
        """The forecast for the newest row that was complete at the time asked about.

        Raises NoPrediction: `stale` when that row's newest bar is too old, `no_row`, `no_model`, `no_volatility`.
        """
        model = self.model(pair)
        stamp = self._current_stamp()
        newest = self.source.newest(pair, model.columns)
        if newest is None:
            raise NoPrediction("no_row", f"the columns of the model are not built for {pair}", fix="`bqx build run`")
        minute = min(question.wanted, newest)
        require_fresh(self.calendar, question, pair, minute)
        key = (model.key, pair, minute, stamp)
        with self._lock:
            made = self._kept.get(key)
        if made is None:
            self.metrics.count("cache_misses")
            made = self._predict(model, self.source.row(pair, minute, model.columns))
            with self._lock:
                self._kept[key] = made
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
        require_fresh(self.calendar, question, pair, made.row.last_bar)
        return made

    def refresh(self) -> int:
        """Forecast the newest row of every pair that has a new one; how many were made. Never a row that is not
        complete by the clock, whatever the source has. A pair that fails is logged and counted, and has none."""
        before, stamp = self._refreshed, self._current_stamp()
        wanted = asked(self.calendar, self.clock()).wanted
        done = 0
        for pair, model in self.models.all().items():
            last = self._ready.get(pair)
            try:
                newest = self.source.newest(pair, model.columns)
                if newest is None:
                    continue
                minute = min(newest, wanted)
                if last is not None and last.model is model and last.row.minute == minute and stamp == before:
                    continue
                self._ready[pair] = self._predict(model, self.source.row(pair, minute, model.columns))
                done += 1
            except Exception as error:  # noqa: BLE001 - a pair that fails must not keep the others waiting
                self._ready.pop(pair, None)
                self.metrics.count("refresh_failures")
                event("serve.refresh_failed", level="warning", pair=pair, what=str(error))
        for pair in set(self._ready) - set(self.models.all()):
            self._ready.pop(pair, None)
        self._refreshed = stamp
        return done

    def latest(self) -> dict[str, Made]:
        """What :meth:`refresh` has ready, by pair."""
        return dict(self._ready)

    def _current_stamp(self) -> object:
        stamp = self.source.stamp()
        if stamp != self._stamp:
            with self._lock:
                self._kept.clear()
                self._stamp = stamp
        return stamp

    def _predict(self, model: Resident, row: Row) -> Made:
        if not row.sigma > 0:
            raise NoPrediction(
                "no_volatility",
                f"{model.pair} has no volatility yet at {datetime_of(row.minute).isoformat()}",
                fix="it needs 600 bars; without it no move can be put in bps",
            )
        said = forecast(model, row.values[None, :], np.array([row.minute]), np.array([row.sigma]), np.array([row.left]))
        return Made(model, row, said, self._signals(model, row, said))

    def _signals(self, model: Resident, row: Row, said: Forecasts) -> tuple[Signal, ...]:
        minute_of_day = int(self.calendar.grid(row.minute, row.minute + 1).minute_of_day[0])
        out = []
        for k, h in enumerate(said.horizons):
            out.append(
                signal(
                    float(said.f4[0, k]),
                    row.sigma,
                    row.cost,
                    h,
                    self.rule or model.located.rule,
                    demonstrated=model.demonstrated(self.simulated),
                    blocked=self.zones.reason(row.minute, minute_of_day, row.left, h),
                )
            )
        return tuple(out)

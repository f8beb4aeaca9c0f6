"""Where one value comes from, or why it is NULL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bqx.base.errors import UsageError
from bqx.features.catalogue import earliest
from bqx.features.compute import evaluate
from bqx.features.declare import Column, Dataset
from bqx.features.kernels.sums import RESTART
from bqx.features.refresh import point_before
from bqx.features.streams import Streams
from bqx.features.support import All, Baseline, Fitted, Lag, Price, Support, Trajectory, View, Window, needed
from bqx.market.calendar import Calendar, datetime_of
from bqx.market.panel import NEVER


@dataclass(frozen=True, slots=True)
class Explanation:
    """One value explained; times are ISO, UTC.

    value : as stored, None for NULL. reason : why NULL. sees_from : the earliest bar that can move a bit of it.
    inputs : what it is made of, in words with this minute's numbers. anchor : what its arithmetic is counted from.
    artefact : the fit it uses.
    """

    dataset: str
    column: str
    pair: str
    ts: str
    usable_from: str
    value: float | None
    unit: str
    formula: str
    policy: str
    warmup: int
    reason: str | None
    sees_from: str | None
    inputs: list[str]
    anchor: list[str]
    artefact: str
    version: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def text(self) -> str:
        """For people."""
        shown = "NULL" if self.value is None else f"{self.value:.9g} {self.unit}"
        lines = [f"{self.dataset}.{self.column} of {self.pair} at {self.ts} = {shown}"]
        if self.reason:
            lines.append(f"  why NULL   {self.reason}")
        lines += [f"  formula    {self.formula}", f"  policy     {self.policy}, warm-up {self.warmup} bars"]
        lines.append(f"  usable     from {self.usable_from}")
        if self.sees_from:
            lines.append(f"  sees       bars from {self.sees_from}")
        lines += [f"  {'inputs' if k == 0 else '':10} {text}" for k, text in enumerate(self.inputs)]
        lines += [f"  {'anchor' if k == 0 else '':10} {text}" for k, text in enumerate(self.anchor)]
        lines.append(f"  artefact   {self.artefact}")
        return "\n".join(lines)


def explain_absent(home: Dataset, item: Column, pair: str, minute: int, reason: str) -> Explanation:
    """An explanation for a minute that has no row."""
    return _make(
        home, item, pair, minute, value=None, reason=reason, sees_from=None, inputs=[], anchor=[], artefact=NO_FIT
    )


def no_row(calendar: Calendar, minute: int, first: int, last: int) -> str | None:
    """Why the store has no row at a minute, None when it has one."""
    if not calendar.is_open(np.array([minute]))[0]:
        return "closed: the market is closed at this minute, so there is no row"
    if first == NEVER or last < 0:
        return "no bars: the project has no bars of this pair"
    if minute < first:
        return f"no bars: the pair's first bar is {_iso(first)}"
    if minute > last:
        return f"no bars: the pair is complete only through {_iso(last)}"
    return None


def explain(home: Dataset, item: Column, streams: Streams, minute: int, pair: str) -> Explanation:
    """Explain one value; `streams` must hold the minute and begin no later than the column can see."""
    panel = streams.panel
    if pair not in panel.pairs:
        raise UsageError(f"the project has no pair {pair!r}", fix=f"it has {', '.join(panel.pairs)}")
    lane = panel.pairs.index(pair)
    absent = no_row(streams.calendar, minute, int(panel.first[lane]), int(panel.last[lane]))
    if absent:
        return explain_absent(home, item, pair, minute, absent)
    row = panel.grid.index(minute)
    value = float(evaluate(home, streams, [item.name])[item.name][row, lane])
    view = View(panel, streams.calendar, streams.anchors.minutes(panel.pairs))
    reason = None
    if np.isnan(value):
        reason = item.why_null(view, row, lane) or f"undefined: {item.why_tagged or 'the formula has no value here'}"
    return _make(
        home,
        item,
        pair,
        minute,
        value=None if np.isnan(value) else float(np.float32(value)) if item.dtype == "f4" else value,
        reason=reason,
        sees_from=_iso(earliest(home, minute, streams.calendar, [item.name])),
        inputs=_inputs(item.support, view, row, lane),
        anchor=_anchor(item, streams, row, lane),
        artefact=_artefact(home, item, minute, streams.calendar),
    )


def _make(home: Dataset, item: Column, pair: str, minute: int, **found: Any) -> Explanation:
    return Explanation(
        dataset=home.name,
        column=item.name,
        pair=pair,
        ts=_iso(minute),
        usable_from=_iso(minute + 1),
        unit=item.unit,
        formula=item.formula,
        policy=item.policy,
        warmup=item.warmup,
        version=home.version,
        **found,
    )


def _iso(minute: int) -> str:
    return f"{datetime_of(minute):%Y-%m-%dT%H:%MZ}"


NO_FIT = "none: the column uses no fit"


def _nodes(node: Support) -> Iterator[Support]:
    yield node
    names: Iterable[str] = getattr(node, "__dataclass_fields__", ())
    for name in names:
        value = getattr(node, name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Support):
                yield from _nodes(part)


def _artefact(home: Dataset, item: Column, minute: int, calendar: Calendar) -> str:
    """The dataset's fits that see what the column says it was fitted on."""
    seen = set(_nodes(item.support))
    found = [
        f"{fit.name} of {_iso(point_before(minute, fit.every, calendar))}" for fit in home.fits if fit.sees in seen
    ]
    return " or ".join(found) + " (`bqx features fits show`)" if found else NO_FIT


def _inputs(node: Support, view: View, row: int, lane: int) -> list[str]:
    """The tree of supports as lines, with what this minute has of each."""

    def at(r: int) -> str:
        return _iso(int(view.panel.grid.minute[r])) if r >= 0 else "before the loaded bars"

    match node:
        case All(parts):
            lines = [line for part in parts for line in _inputs(part, view, row, lane)]
            return list(dict.fromkeys(lines))
        case Baseline(price):
            return [*_inputs(price, view, row, lane), "the pair's baseline price B_p"]
        case Price():
            run = int(view.panel.fill_run[row, lane])
            close = float(view.panel.close[row, lane])
            state = "quoted" if run == 0 else f"no quote for {run} min"
            return [f"close at {at(row)}: {'NULL' if np.isnan(close) else f'{close:.9g}'} ({state})"]
        case Lag(of, bars, policy):
            past = _inputs(of, view, row - bars, lane) if row >= bars else [f"{bars} bars back: no such bar"]
            return [f"change over {bars} bars ({policy}) from {at(row - bars)}", *_inputs(of, view, row, lane), *past]
        case Window(of, bars, policy, before):
            last = row - int(before)
            own = view.mask(of)[max(0, last - bars + 1) : last + 1, lane] if last >= 0 else np.zeros(0, bool)
            return [
                f"window of {bars} bars ({policy}) {at(last - bars + 1)} to {at(last)}: "
                f"{int(own.sum())} valid, {needed(bars)} needed"
            ]
        case Trajectory(_, need, burn, _):
            start = row - int(view.age[row, 0]) - burn
            return [f"recursion started {at(max(start, 0))}, {burn} bars before the segment; {need} values needed"]
        case Fitted(_, bars, every):
            point = point_before(int(view.panel.grid.minute[row]), every, view.calendar)
            return [f"estimate of {_iso(point)} from the {bars} values before it, {needed(bars)} needed"]
    inner = getattr(node, "of", None)
    return _inputs(inner, view, row, lane) if isinstance(inner, Support) else ["the minute itself (calendar)"]


def _has_sums(node: Support) -> bool:
    match node:
        case Window():
            return True
        case All(parts):
            return any(_has_sums(part) for part in parts)
        case Baseline(of) | Lag(of, _, _):
            return _has_sums(of)
    return False


def _anchor(item: Column, streams: Streams, row: int, lane: int) -> list[str]:
    grid = streams.panel.grid
    age = int(grid.seg_age[row])
    minute = grid.minute
    lines = [f"segment {int(grid.seg_id[row])}, began {_iso(int(minute[row - age]))}, {age} bars ago"]
    if _has_sums(item.support):
        lines.append(f"sums restarted {_iso(int(minute[row - age % RESTART]))}, {age % RESTART} bars ago")
    if "level" in item.tags:
        pair = streams.panel.pairs[lane]
        found = streams.anchors.baseline.get(pair)
        lines.append(f"baseline {found[2]:.9g} at {_iso(found[1])}, epoch {found[0]}" if found else "no baseline")
    return lines

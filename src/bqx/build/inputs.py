"""Everything a partition depends on, hashed, so that "stale" is computed and can be explained."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bqx.features.anchors import Edge
from bqx.market.calendar import DAY, Calendar, month_span
from bqx.market.schedule import Schedule
from bqx.store.registry import Baseline

CALENDAR_AHEAD = 7 * DAY
"""Calendar columns look ahead to the close of the week, so a partition sees the calendar a week beyond its end."""

REASONS = {
    "code": "the code of the dataset changed",
    "calendar": "the calendar changed",
    "bars": "bars changed",
    "baseline": "the baseline changed",
    "gaps": "a weekly open or close changed",
    "schedule": "the schedule of events changed",
    "rows": "rows were added or removed",
}


@dataclass(frozen=True)
class Recipe:
    """What the planner must know of a dataset.

    reads_bars : False for pure calendar datasets. everyone : the value of a pair uses the bars of all pairs.
    warmup : bars the most demanding column needs. order : all columns.
    columns : those wanted, with their item sizes in bytes. parts : domains, which are computed one after the other.
    earliest : first minute that a value at a minute can see. groups : (first minute, columns) for values of a span, as
    :func:`bqx.features.compute.reach_groups`.
    """

    name: str
    code: str
    uses: frozenset[str]
    reads_bars: bool
    warmup: int
    order: tuple[str, ...]
    columns: Mapping[str, int]
    parts: int
    earliest: Callable[[int, Calendar], int]
    groups: Callable[[Sequence[str], int, int, Calendar], list[tuple[int, list[str]]]]

    @property
    def everyone(self) -> bool:
        return "panel" in self.uses


@dataclass(frozen=True)
class Inputs:
    """A snapshot of all inputs; `dataclasses.replace` one of them and hash again to see an impact.

    days : content hash of the bars of each (pair, UTC day number). spans : first and last bar of each pair.
    edges : first open and last close of each pair's segments since its baseline. as_of : when it was so, us UTC.
    schedule : of events, where the project has one.
    """

    calendar: Calendar
    pairs: tuple[str, ...]
    recipes: Mapping[str, Recipe]
    spans: Mapping[str, tuple[int, int]]
    days: Mapping[tuple[str, int], str]
    t0: int | None
    baselines: Mapping[str, Baseline]
    edges: Mapping[str, tuple[Edge, ...]]
    as_of: int | None = None
    schedule: Schedule | None = None
    _cache: dict[object, str] = field(default_factory=dict, repr=False, compare=False, init=False)
    _seen: dict[tuple[str, str], int] = field(default_factory=dict, repr=False, compare=False, init=False)
    _looks: dict[tuple[str, str, tuple[str, ...]], int] = field(
        default_factory=dict, repr=False, compare=False, init=False
    )

    def with_bars(
        self,
        spans: Mapping[str, tuple[int, int]],
        days: Mapping[tuple[str, int], str],
        edges: Mapping[str, tuple[Edge, ...]],
        as_of: int | None,
    ) -> Inputs:
        """The same with other bars; what the calendar alone decides is not worked out again."""
        found = replace(self, spans=spans, days=days, edges=edges, as_of=as_of)
        found._seen.update(self._seen)
        found._cache.update({key: text for key, text in self._cache.items() if key[0] == "calendar"})  # type: ignore[index]
        return found

    def row_span(self, pair: str, ym: str) -> tuple[int, int] | None:
        """First minute and `complete_through` of a partition; None when the pair has no open minute in the month."""
        if pair not in self.spans:
            return None
        start, end = month_span(ym)
        first, last = self.spans[pair]
        lo, hi = max(start, first), min(end - 1, last)
        if lo > hi or self.rows(lo, hi) == 0:
            return None
        return lo, hi

    def rows(self, first: int, through: int) -> int:
        """Open minutes in [first, through]."""
        return self.calendar.ordinal(through + 1) - self.calendar.ordinal(first)

    def earliest(self, dataset: str, ym: str) -> int:
        """First minute that values of the month can see."""
        key = (dataset, ym)
        if key not in self._seen:
            self._seen[key] = self.recipes[dataset].earliest(month_span(ym)[0], self.calendar)
        return self._seen[key]

    def begin(self, minute: int) -> int:
        """Segment start to load from for what can see back to `minute`: nothing lies before the first bar."""
        first = min((s[0] for s in self.spans.values()), default=minute)
        return self.calendar.segment_start(max(minute, first))

    def end(self, ym: str) -> int:
        """Minute after the last that has to be computed in a month: nothing lies after the last bar."""
        last = max((s[1] for s in self.spans.values()), default=-1)
        return min(month_span(ym)[1], last + 1)

    def look(self, dataset: str, columns: Sequence[str], ym: str) -> int:
        """Values a pair that are computed for a month of some columns, look-back included."""
        end = self.end(ym)
        key = (dataset, ym, tuple(columns))
        if key not in self._looks:
            groups = self.recipes[dataset].groups(columns, month_span(ym)[0], end, self.calendar)
            self._looks[key] = sum(self.rows(self.begin(at), end - 1) * len(names) for at, names in groups)
        return self._looks[key]

    def input_hash(self, dataset: str, pair: str, ym: str) -> str:
        """`name=hash` for each kind of input the dataset uses, so that a difference says what changed."""
        recipe = self.recipes[dataset]
        span = self.row_span(pair, ym)
        if span is None:
            raise ValueError(f"{pair} has no rows in {ym}")
        seen, end = self.earliest(dataset, ym), month_span(ym)[1]
        parts = {
            "code": _hash(recipe.code),
            "calendar": self._calendar_hash(seen, end),
            "rows": _hash(repr(span)),
        }
        pairs = self.pairs if recipe.everyone else (pair,)
        if recipe.reads_bars:
            parts["bars"] = _hash(*(self._bars_hash(p, seen, end, recipe.warmup) for p in pairs))
        if "baseline" in recipe.uses:
            parts["baseline"] = _hash(*(self._baseline_hash(p) for p in pairs))
        if "gaps" in recipe.uses:
            parts["gaps"] = _hash(*(self._edge_hash(p, end) for p in pairs))
        if "schedule" in recipe.uses:
            parts["schedule"] = _hash("none" if self.schedule is None else self.schedule.digest(end))
        return " ".join(f"{name}={value}" for name, value in sorted(parts.items()))

    def fit_hash(self, dataset: str, pair: str, seen: int, point: int, *, everyone: bool) -> str:
        """Of the code, calendar and bars of [seen, point] that a fit is made from; bars after it on the same UTC day
        count too."""
        recipe = self.recipes[dataset]
        pairs = self.pairs if everyone else (pair,)
        bars = (self._bars_hash(p, seen, point + 1, recipe.warmup) for p in pairs)
        return _hash(recipe.code, self._calendar_hash(seen, point + 1), *bars)

    def _calendar_hash(self, seen: int, end: int) -> str:
        return self._cached(("calendar", seen, end), lambda: _hash(self.calendar.digest(seen, end + CALENDAR_AHEAD)))

    def _bars_hash(self, pair: str, seen: int, end: int, warmup: int) -> str:
        """Bars of [seen, end) and, if the warm-up count can still feel it, where the pair's history begins."""

        def compute() -> str:
            if pair not in self.spans:
                return ""
            days = (self.days.get((pair, day), "") for day in range(seen // DAY, (end - 1) // DAY + 1))
            felt = self.calendar.at_ordinal(self.calendar.ordinal(seen) - warmup)
            return _hash(str(max(self.spans[pair][0], felt)), *days)

        return self._cached(("bars", pair, seen, end, warmup), compute)

    def _baseline_hash(self, pair: str) -> str:
        row = self.baselines.get(pair)
        if row is None:
            return f"none:{self.t0}"
        return f"{row.epoch}:{row.t0}:{row.baseline_ts}:{row.baseline_mid.hex()}"

    def _edge_hash(self, pair: str, end: int) -> str:
        """Gaps known before `end`: the last segment's close is left out, as only the next segment's gap uses it."""
        seen = [e for e in self.edges.get(pair, ()) if e.first_minute < end]
        closes = [e.last_close.hex() for e in seen[:-1]]
        return _hash(*(f"{e.seg_id}:{e.first_open.hex()}" for e in seen), *closes)

    def _cached(self, key: object, compute: Callable[[], str]) -> str:
        if key not in self._cache:
            self._cache[key] = compute()
        return self._cache[key]


def _hash(*parts: str) -> str:
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()


def difference(old: str, new: str) -> str:
    """Why two input hashes differ, in words."""
    before, after = (dict(part.partition("=")[::2] for part in text.split()) for text in (old, new))
    changed = [text for name, text in REASONS.items() if before.get(name) != after.get(name)]
    return "; ".join(changed) or "built by another version of the planner"

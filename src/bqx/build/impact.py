"""What would become stale: the planner's own hashes with one input changed, never a guess."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from bqx.base.errors import UsageError
from bqx.build.gather import gather
from bqx.build.inputs import Inputs, difference
from bqx.market.calendar import DAY, datetime_of, minute_of
from bqx.store.known import known_us

if TYPE_CHECKING:
    from bqx.build.project import Project

CHANGED = "changed"
OPEN_CLOSE = ("open", "close")


@dataclass(frozen=True)
class Impact:
    """Partitions in the store whose inputs differ after a change, with the reasons."""

    change: str
    partitions: tuple[tuple[str, str, str, str], ...]
    held: int

    def as_dict(self) -> dict[str, Any]:
        """Counts by dataset with their pairs and months, and the reasons."""
        out: dict[str, dict[str, Any]] = {}
        for dataset, pair, ym, reason in self.partitions:
            entry = out.setdefault(dataset, {"partitions": 0, "pairs": set(), "months": set(), "reasons": set()})
            entry["partitions"] += 1
            entry["pairs"].add(pair)
            entry["months"].add(ym)
            entry["reasons"].update(reason.split("; "))
        datasets = {
            name: {key: sorted(v) if isinstance(v, set) else v for key, v in entry.items()}
            for name, entry in out.items()
        }
        return {"change": self.change, "partitions": len(self.partitions), "held": self.held, "datasets": datasets}


def impact_of_bar(project: Project, pair: str, when: datetime) -> Impact:
    """The bar of `pair` at `when` is corrected, or one is added there."""
    inputs, _ = gather(project)
    if pair not in inputs.spans:
        raise UsageError(f"{pair} has no bars", fix="`bqx bars list` shows what there is")
    minute = minute_of(when)
    changed, _ = gather(project, patch=partial(_touch, pair, minute))
    first, last = inputs.spans[pair]
    days = {**inputs.days, (pair, minute // DAY): CHANGED}
    spans = {**inputs.spans, pair: (min(first, minute), max(last, minute))}
    changed = replace(changed, days=days, spans=spans)
    return _compare(project, inputs, changed, f"bar {pair} {when.isoformat()}")


def impact_of_holiday(project: Project, day: date) -> Impact:
    """The trade day `day` becomes a holiday or, if it is one, stops being one."""
    inputs, _ = gather(project)
    calendar = project.calendar
    if (day.month, day.day) in calendar.yearly:
        raise UsageError(f"{day} is closed every year by the calendar's `yearly` list", fix="edit the holiday file")
    closing = day not in calendar.dates
    dates = set(calendar.dates) ^ {day}
    changed, _ = gather(project, calendar=replace(calendar, dates=tuple(sorted(dates))))
    verb = "becomes a holiday" if closing else "is a holiday no more"
    return _compare(project, inputs, changed, f"{day} {verb}")


def impact_of_code(project: Project, dataset: str) -> Impact:
    """The code of `dataset` changes."""
    inputs, _ = gather(project)
    if dataset not in inputs.recipes:
        raise UsageError(f"unknown dataset {dataset!r}", fix=f"known: {', '.join(inputs.recipes)}")
    recipes = {**inputs.recipes, dataset: replace(inputs.recipes[dataset], code=CHANGED)}
    return _compare(project, inputs, replace(inputs, recipes=recipes), f"code of {dataset}")


def impact_of_import(project: Project, which: str) -> Impact:
    """What an import that has already happened made stale. `which` : a source's id, or a folder of `imports/`."""
    after, _ = gather(project)
    chosen = _sources(project, which)
    days, spans, count = dict(after.days), dict(after.spans), 0
    for source in chosen:
        pair, known = str(source["pair"]), known_us(str(source["known_at"]))
        if pair not in after.spans or known is None:
            continue
        lo, hi = after.spans[pair]
        old = project.bars.day_hashes([pair], lo, hi + 1, as_of=known - 1)
        new = project.bars.day_hashes([pair], lo, hi + 1, as_of=known)
        for key in (k for k in {*old, *new} if old.get(k) != new.get(k)):
            count += 1
            days[key] = old.get(key, "")
        before = project.bars.spans(as_of=known - 1).get(pair)
        if before is not None and before != project.bars.spans(as_of=known).get(pair):
            spans[pair] = before
    before_all = replace(after, days=days, spans=spans)
    return _compare(project, before_all, after, f"import {which} ({count} pair-days changed)")


def _sources(project: Project, which: str) -> list[dict[str, Any]]:
    """Source records of an import; raises UsageError when there are none, or when its report fits several."""
    known = project.bars.sources()
    if chosen := [s for s in known if str(s["id"]) == which]:
        return chosen
    report = project.root / "imports" / which / "report.json"
    if not report.is_file():
        raise UsageError(f"no import {which!r}", fix="`bqx bars list --json` shows sources with their ids")
    for entry in json.loads(report.read_text())["pairs"]:
        names = [Path(name).name for name in entry["files"]]
        fits = [s for s in known if s["pair"] == entry["pair"] and _names(s) == names]
        if len(fits) > 1:
            ids = ", ".join(str(s["id"]) for s in fits)
            raise UsageError(
                f"import {which} may be any of the sources {ids}: same file names", fix="give one of these"
            )
        chosen += fits
    return chosen


def _names(source: dict[str, Any]) -> list[str]:
    return [Path(str(f["name"])).name for f in source.get("files", []) if isinstance(f, dict)]


def _touch(pair: str, minute: int, name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame of `pair` with the bar at `minute` moved a hair, or added."""
    if name != pair:
        return frame
    stamp = pl.lit(datetime_of(minute)).cast(pl.Datetime("us", "UTC"))
    if frame.filter(pl.col("ts_utc") == stamp).is_empty():
        at = frame.filter(pl.col("ts_utc") < stamp).tail(1)
        new = (at if at.height else frame.head(1)).with_columns(stamp.alias("ts_utc"))
        return pl.concat([frame, new]).sort("ts_utc")
    moved = [
        pl.when(pl.col("ts_utc") == stamp).then(pl.col(c) * 1.0001).otherwise(pl.col(c)).alias(c) for c in OPEN_CLOSE
    ]
    return frame.with_columns(moved)


def _compare(project: Project, before: Inputs, after: Inputs, change: str) -> Impact:
    found = []
    held = project.store.partitions(as_of=project.as_of)
    for info in held:
        dataset, pair, ym = info.key.dataset, info.key.pair, info.key.ym
        if dataset not in before.recipes or before.row_span(pair, ym) is None:
            continue
        old = before.input_hash(dataset, pair, ym)
        if after.row_span(pair, ym) is None:
            found.append((dataset, pair, ym, "no open minute is left"))
        elif (new := after.input_hash(dataset, pair, ym)) != old:
            found.append((dataset, pair, ym, difference(old, new)))
    return Impact(change, tuple(found), len(held))

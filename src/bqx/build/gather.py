"""Take the snapshot of everything that partitions depend on: calendar, bars, baselines, gaps, code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from bqx.base.errors import UsageError
from bqx.build.baseline import fixed_t0, resolve
from bqx.build.edge_cache import Known, fingerprint, recall, remember
from bqx.build.inputs import Inputs, Recipe
from bqx.features.anchors import BASELINE_WINDOW, Anchors, Edge, find_baseline, segment_edges
from bqx.features.catalogue import earliest
from bqx.features.compute import reach_groups
from bqx.features.declare import Dataset
from bqx.market.calendar import Calendar
from bqx.store.registry import Baseline

if TYPE_CHECKING:
    from bqx.build.project import Project
    from bqx.store.bars import BarStore

ITEMSIZE = {"f4": 4, "f8": 8, "i2": 2, "i4": 4}


Patch = Callable[[str, pl.DataFrame], pl.DataFrame]


def gather(
    project: Project,
    columns: Mapping[str, Sequence[str]] | None = None,
    *,
    calendar: Calendar | None = None,
    patch: Patch | None = None,
    keep: bool = False,
) -> tuple[Inputs, list[Baseline]]:
    """Inputs as known now (or at the project's as_of), and the baseline rows the registry lacks.

    columns : dataset -> the only columns wanted of it. calendar, patch(pair, bars) : what the inputs would be
    with another calendar or other bars; `days` and `spans` stay those of the store. keep : remember weekly opens and
    closes in the manifest.
    """
    calendar, bars = calendar or project.calendar, project.bars
    change = patch or (lambda _, frame: frame)
    as_of = project.snapshot()
    spans = {p: s for p, s in bars.spans(as_of=as_of).items() if p in project.pairs}
    recorded = project.baselines()
    configured = project.config.project.t0_minute
    t0 = fixed_t0(configured, calendar, spans, recorded)
    found = {pair: _first_bar(bars, calendar, pair, t0, as_of, change) for pair in spans} if t0 is not None else {}
    t0, chosen, fresh = resolve(configured, calendar, spans, recorded, found)
    lo = min((s[0] for s in spans.values()), default=0)
    hi = max((s[1] for s in spans.values()), default=0)
    days = bars.day_hashes(list(spans), lo, hi + 1, as_of=as_of) if spans else {}
    known = recall(project.manifest) if patch is None else {}
    found_edges: Known = {}
    for pair, row in chosen.items():
        span = (row.baseline_ts, spans[pair][1])
        mark = fingerprint(calendar, days, pair, *span)
        old = known.get(pair)
        fits = old is not None and old[0] == mark
        found_edges[pair] = old if old and fits else (mark, _edges(bars, calendar, pair, span, as_of, change))
    if keep:
        remember(project.manifest, found_edges)
    inputs = Inputs(
        calendar=calendar,
        pairs=project.pairs,
        recipes={name: recipe(d, (columns or {}).get(name)) for name, d in project.catalogue.items()},
        spans=spans,
        days=days,
        t0=t0,
        baselines=chosen,
        edges={pair: edges for pair, (_, edges) in found_edges.items()},
        as_of=as_of,
        schedule=project.schedule,
    )
    return inputs, fresh


def recipe(home: Dataset, columns: Sequence[str] | None = None) -> Recipe:
    """The planner's view of a dataset; raises UsageError for an unknown column.

    Only `columns` depends on what is wanted: a partition of some columns has the inputs of the whole dataset, so
    that asking for fewer never makes it stale.
    """
    wanted = [c.name for c in home.columns] if columns is None else list(columns)
    if unknown := [name for name in wanted if name not in home.by_name]:
        raise UsageError(f"{home.name} has no column {unknown[0]!r}", fix=f"it has {', '.join(home.by_name)}")
    return Recipe(
        name=home.name,
        code=f"{home.version}:{home.code_hash}",
        uses=home.uses,
        reads_bars=bool(home.uses) or any(c.warmup > 0 for c in home.columns),
        warmup=max((c.warmup for c in home.columns), default=0),
        order=tuple(c.name for c in home.columns),
        columns={c.name: ITEMSIZE[c.dtype] for c in home.columns if c.name in set(wanted)},
        parts=len({home.signal_domain(name) for name in wanted}),
        earliest=partial(earliest, home),
        groups=partial(reach_groups, home),
    )


def anchors(inputs: Inputs) -> Anchors:
    """T0, baselines, gaps and the schedule in the form the features take."""
    baseline = {p: (row.epoch, row.baseline_ts, row.baseline_mid) for p, row in inputs.baselines.items()}
    return Anchors(inputs.t0, baseline, inputs.edges, inputs.schedule)


def _first_bar(
    bars: BarStore, calendar: Calendar, pair: str, t0: int, as_of: int | None, change: Patch
) -> tuple[int, float] | None:
    frame = change(pair, bars.read([pair], t0, t0 + BASELINE_WINDOW + 1, as_of=as_of)[pair])
    return find_baseline(_open_only(frame, calendar), t0)


def _edges(
    bars: BarStore, calendar: Calendar, pair: str, span: tuple[int, int], as_of: int | None, change: Patch
) -> tuple[Edge, ...]:
    frame = change(pair, bars.read([pair], span[0], span[1] + 1, as_of=as_of)[pair])
    return tuple(segment_edges(_open_only(frame, calendar), calendar))


def _open_only(frame: pl.DataFrame, calendar: Calendar) -> pl.DataFrame:
    """A holiday added after an import closes minutes that have bars."""
    if frame.is_empty():
        return frame
    minute = frame["ts_utc"].to_physical().to_numpy() // 60_000_000
    return frame.filter(pl.Series(calendar.is_open(minute)))

"""Drift of the columns that the serving models read, from the store: reference days against the newest ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import MonitorInputError
from bqx.market.calendar import DAY, datetime_of, minute_of
from bqx.research.candidate_read import read_blocks
from bqx.serve.monitor import drift
from bqx.serve.monitor.finding import Finding
from bqx.serve.monitor.health import HealthLimits, null_rates
from bqx.serve.monitor.histograms import day_counts, edges

if TYPE_CHECKING:
    from bqx.build.project import Project
    from bqx.serve.api.models import Resident
    from bqx.serve.monitor.settings import DriftSettings

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


@dataclass(frozen=True)
class Span:
    """Trade days of the reference, up to the end of the model's data, and the latest complete ones after it."""

    reference: I8
    latest: I8


def domain_of(dataset: str) -> str:
    """`rate`, `bqx` or `dual`: families are built from prices, from BQX, or from neither."""
    last = dataset.rsplit("_", 1)[-1]
    return last if last in ("rate", "bqx") else "dual"


def span_of(project: Project, model: Resident, newest: int, settings: DriftSettings) -> Span:
    """MonitorInputError when the days before the model's end, or those after it, are too few."""
    window = model.artefact.manifest["window"]
    end = minute_of(datetime.fromisoformat(window["last"]))
    begin = project.bars.spans(project.as_of)[model.pair][0]
    before = np.unique(project.calendar.grid(begin, end + 1).day)[1:-1]
    after = np.unique(project.calendar.grid(end + 1, newest + 1).day)[1:-1] if newest > end else before[:0]
    need = max(drift.FEWEST, 3 * settings.window)
    if len(before) < need:
        raise MonitorInputError(f"{model.pair} has {len(before)} trade days until its model's end, drift needs {need}")
    if len(after) < settings.window:
        raise MonitorInputError(f"{model.pair} has {len(after)} trade days after its model's end, drift compares "
                                f"{settings.window}")  # fmt: skip
    return Span(before[-settings.reference :].astype(np.int64), after[-settings.window :].astype(np.int64))


def look(
    project: Project,
    models: Sequence[Resident],
    settings: DriftSettings,
    limits: HealthLimits,
    note: Callable[[str], None] = lambda _: None,
) -> tuple[list[Finding], dict[str, Any]]:
    """All models at once: a domain is one cluster over all pairs. Also what was seen, for the report.

    One file a pair is in memory at a time; of each only counts are kept.
    """
    names: list[str] = []
    members: dict[str, list[int]] = {}
    before, after, found = [], [], []
    spans = {m.pair: span_of(project, m, _newest(project, m), settings) for m in models}
    days = min(len(s.reference) for s in spans.values())
    for model in models:
        note(f"drift: {model.pair}")
        span = Span(spans[model.pair].reference[-days:], spans[model.pair].latest)
        old, new = _counts(project, model, span)
        found += null_rates(model.pair, _nulls(model, new), _nulls(model, old), limits)
        once: dict[tuple[str, str], int] = {}  # a lag has the law of its column
        for k, c in enumerate(model.columns):
            once.setdefault((c.dataset, c.column), k)
        fresh = list(once.values())
        for k in fresh:
            c = model.columns[k]
            members.setdefault(domain_of(c.dataset), []).append(len(names))
            names.append(f"{model.pair} {c.name}")
        before.append(old[:, fresh])
        after.append(new[:, fresh])
    domains = {name: np.array(m, dtype=np.int64) for name, m in members.items()}
    reference = np.concatenate(before, axis=1)
    calibrated = drift.calibrate(reference, domains, window=settings.window, draws=settings.draws)
    verdicts, p = drift.judge(calibrated, np.concatenate(after, axis=1))
    seen: dict[str, Any] = {"features": len(names), "least_p": float(p.min()), "domains": []}
    for v in verdicts:
        seen["domains"].append({"domain": v.domain, "features": v.features, "p": v.p, "score": v.score,
                                "drifted": [names[i] for i in v.drifted[:50]],
                                "drifted_count": len(v.drifted), "worst": names[v.worst],
                                "psi": v.worst_psi})  # fmt: skip
        if v.score >= settings.score:
            what = (f"inputs of domain {v.domain} moved: {v.score:.1f} deviations beyond resamples of the reference; "
                    f"{len(v.drifted)} of {v.features} columns, most {names[v.worst]}")  # fmt: skip
            found.append(Finding("drift", v.domain, "warning", what, v.score, settings.score))
    return found, seen


def key_of(project: Project, models: Sequence[Resident]) -> list[Any]:
    """What decides the verdict: the models and the newest trade day each has features of."""
    out: list[Any] = []
    for m in models:
        newest = _newest(project, m)
        out.append([m.pair, m.digest, int(project.calendar.grid(newest - DAY, newest + 1).day[-1])])
    return out


def _newest(project: Project, model: Resident) -> int:
    homes = {c.dataset for c in model.columns}
    last: dict[str, int] = {}
    for info in project.store.partitions(project.as_of, pair=model.pair):
        if info.key.dataset in homes:
            last[info.key.dataset] = max(last.get(info.key.dataset, -1), info.last_minute)
    if homes - set(last):
        raise MonitorInputError(f"{sorted(homes - set(last))[0]} is not built for {model.pair}", fix="`bqx build run`")
    return min(last.values())


def _counts(project: Project, model: Resident, span: Span) -> tuple[F8, F8]:
    """Counts of reference and latest days, (days, columns, bins); edges from the reference."""
    day, X = _read(project, model, span.reference)
    late_day, late = _read(project, model, span.latest)
    old, new = [], []
    for k in range(len(model.columns)):
        inner = edges(X[:, k])
        old.append(day_counts(X[:, k], day, span.reference, inner))
        new.append(day_counts(late[:, k], late_day, span.latest, inner))
    return np.stack(old, axis=1), np.stack(new, axis=1)


def _read(project: Project, model: Resident, days: I8) -> tuple[I8, F4]:
    start = _first_minute(project, int(days[0]))
    end = _first_minute(project, project.calendar.later_day(int(days[-1]), 1))
    blocks = list(read_blocks(project.store, project.calendar, model.pair, start, end, model.columns, project.as_of))
    if not blocks:
        raise MonitorInputError(f"{model.pair} has no features from {datetime_of(start).isoformat()}")
    day = np.concatenate([project.calendar.grid(int(b.minute[0]), int(b.minute[-1]) + 1).day for b in blocks])
    return day.astype(np.int64), np.concatenate([b.X for b in blocks])


def _first_minute(project: Project, day: int) -> int:
    """First open minute of a trade day; a day number is days since 1970 of its close."""
    guess = (day - 2) * DAY
    grid = project.calendar.grid(guess, guess + 5 * DAY)
    return int(grid.minute[int(np.searchsorted(grid.day, day))])


def _nulls(model: Resident, counts: F8) -> dict[str, tuple[int, int]]:
    null, rows = counts[:, :, -1].sum(axis=0), counts.sum(axis=(0, 2))
    return {c.name: (int(null[k]), int(rows[k])) for k, c in enumerate(model.columns)}

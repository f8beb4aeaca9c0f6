"""Units of a run of months put together so that bars, streams and what values see of earlier weeks are computed once,
and cut so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bqx.build.inputs import Inputs
from bqx.build.units import Unit
from bqx.market.calendar import month_of, month_span

RUN = 2
"""Months of a task: what a month's values see of the weeks before is half as much work again as the month; of two it is
a quarter."""

PANEL_ARRAYS = 8
STREAM_ARRAYS = 40
"""Float64 arrays [rows x pairs] a task holds for bars and for streams, rounded up."""


@dataclass(frozen=True)
class Task:
    """Units of consecutive months, the first of which is `ym`, over the same lanes, a dataset's months one after the
    other; `pairs` are loaded, the pieces of the units are written.

    start, end : minutes that are loaded. cells : bars of pairs in them. bytes : held at most, by count of arrays.
    """

    ym: str
    units: tuple[Unit, ...]
    pairs: tuple[str, ...]
    start: int
    end: int
    cells: int
    bytes: int

    @property
    def values(self) -> int:
        return sum(unit.values for unit in self.units)

    def seconds(self, load_ns: float) -> float:
        """Forecast of one core's time."""
        return self.cells * load_ns * 1e-9 + sum(unit.core_seconds for unit in self.units)


def make_tasks(units: Sequence[Unit], inputs: Inputs, memory: int, workers: int = 1) -> list[Task]:
    """One task for :data:`RUN` months of the same datasets and pairs, or for one where there would be fewer than
    workers or where two would exceed `memory` bytes; cut by pairs only where one month does, for kernels like many
    lanes more than they mind a look-back, and at the end where some of the workers would be idle.

    Datasets that see all pairs are not cut: their tasks run alone.
    """
    months: dict[str, list[Unit]] = {}
    for unit in units:
        months.setdefault(unit.ym, []).append(unit)
    whole = {ym: [u for u in group if inputs.recipes[u.dataset].everyone] for ym, group in months.items()}
    apart = {ym: [u for u in group if not inputs.recipes[u.dataset].everyone] for ym, group in months.items()}
    longest = RUN if len(months) >= RUN * workers else 1
    runs = _fitting(apart, longest, inputs, memory)
    last = len(runs) % workers
    parts = [1] * (len(runs) - last) + [-(-workers // last)] * last if last else [1] * len(runs)
    tasks = {run[0].ym: _cut(run, inputs, memory, n) for run, n in zip(runs, parts, strict=True)}
    panels = {run[0].ym: _task(run, inputs.pairs, inputs) for run in _fitting(whole, longest, inputs, memory)}
    return [task for ym in months for task in (*([panels[ym]] if ym in panels else ()), *tasks.get(ym, ()))]


def _fitting(months: dict[str, list[Unit]], longest: int, inputs: Inputs, memory: int) -> list[list[Unit]]:
    """:func:`_runs`, those that would exceed the memory taken month by month."""
    found: list[list[Unit]] = []
    for run in _runs(months, longest):
        alone = list(dict.fromkeys(unit.ym for unit in run))
        fits = len(alone) == 1 or _task(run, _pairs(run, inputs), inputs).bytes <= memory
        found.extend([run] if fits else [months[ym] for ym in alone])
    return found


def _pairs(units: Sequence[Unit], inputs: Inputs) -> tuple[str, ...]:
    if inputs.recipes[units[0].dataset].everyone:
        return tuple(inputs.pairs)
    wanted = {pair for unit in units for pair in unit.pairs}
    return tuple(p for p in inputs.pairs if p in wanted)


def _runs(months: dict[str, list[Unit]], longest: int) -> list[list[Unit]]:
    """Units of months that follow each other and lack the same columns of the same pairs, a dataset's months together;
    at most `longest` months."""
    found: list[list[list[Unit]]] = []
    for group in months.values():
        if not group:
            continue
        last = found[-1] if found else []
        if last and len(last) < longest and _follows(last[-1], group):
            last.append(group)
        else:
            found.append([group])
    return [[unit for of_one in zip(*run, strict=True) for unit in of_one] for run in found]


def _follows(before: Sequence[Unit], after: Sequence[Unit]) -> bool:
    same = [(u.dataset, u.columns, u.pairs) for u in before] == [(u.dataset, u.columns, u.pairs) for u in after]
    return same and month_of(month_span(before[0].ym)[1]) == after[0].ym


def _cut(units: Sequence[Unit], inputs: Inputs, memory: int, parts: int) -> list[Task]:
    pairs = _pairs(units, inputs)
    task = _task(units, pairs, inputs)
    parts = min(max(parts, -(-task.bytes // memory)), len(pairs))
    if parts == 1:
        return [task]
    out = []
    for k in range(parts):
        part = set(pairs[k * len(pairs) // parts : (k + 1) * len(pairs) // parts])
        cut = [replace(u, pieces=tuple(p for p in u.pieces if p.pair in part)) for u in units]
        kept = [u for u in cut if u.pieces]
        out.append(_task(kept, tuple(p for p in pairs if p in part), inputs))
    return out


def _task(units: Sequence[Unit], pairs: tuple[str, ...], inputs: Inputs) -> Task:
    first, last = units[0].ym, units[-1].ym
    start = inputs.begin(min(inputs.earliest(u.dataset, u.ym) for u in units))
    end = inputs.end(last)
    cells = inputs.rows(start, end - 1) * len(pairs)
    # what a later month sees of the weeks before it is the run's anyway
    cleared = tuple(u if u.ym == first else _later(u, inputs) for u in units)
    # the widest dataset: a domain as float64 over all it looks at, and all columns typed
    held: dict[str, float] = {}
    for u in cleared:
        recipe = inputs.recipes[u.dataset]
        typed = sum(recipe.columns.get(name, 8) for name in u.columns) / max(len(u.columns), 1)
        held[u.dataset] = held.get(u.dataset, 0.0) + 8 * u.look / recipe.parts + typed * _own(u, inputs)
    widest = int(max(held.values()) * len(pairs))
    return Task(first, cleared, pairs, start, end, cells, 8 * cells * (PANEL_ARRAYS + STREAM_ARRAYS) + widest)


def _own(unit: Unit, inputs: Inputs) -> int:
    """Values a pair of the month itself."""
    return len(unit.columns) * inputs.rows(month_span(unit.ym)[0], inputs.end(unit.ym) - 1)


def _later(unit: Unit, inputs: Inputs) -> Unit:
    return replace(unit, look=min(unit.look, _own(unit, inputs)))

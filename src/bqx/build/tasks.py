"""Units of a month put together so that bars and streams are loaded once, and cut so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bqx.build.inputs import Inputs
from bqx.build.units import Unit
from bqx.market.calendar import month_span

PANEL_ARRAYS = 8
STREAM_ARRAYS = 40
"""Float64 arrays [rows x pairs] a task holds for bars and for streams, rounded up."""


@dataclass(frozen=True)
class Task:
    """Units of one month over the same lanes; `pairs` are loaded, the pieces of the units are written.

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
    """One task a month; cut by pairs where it would exceed `memory` bytes, or leave some of the workers idle.

    Datasets that see all pairs are not cut: their tasks run alone instead.
    """
    months: dict[str, list[Unit]] = {}
    for unit in units:
        months.setdefault(unit.ym, []).append(unit)
    parts = -(-workers // len(months)) if months else 1
    tasks: list[Task] = []
    for ym, group in months.items():
        whole = [u for u in group if inputs.recipes[u.dataset].everyone]
        apart = [u for u in group if not inputs.recipes[u.dataset].everyone]
        if whole:
            tasks.append(_task(ym, whole, inputs.pairs, inputs))
        if apart:
            tasks.extend(_cut(ym, apart, inputs, memory, parts))
    return tasks


def _cut(ym: str, units: list[Unit], inputs: Inputs, memory: int, parts: int) -> list[Task]:
    wanted = {pair for unit in units for pair in unit.pairs}
    pairs = tuple(p for p in inputs.pairs if p in wanted)
    task = _task(ym, units, pairs, inputs)
    parts = min(max(parts, -(-task.bytes // memory)), len(pairs))
    if parts == 1:
        return [task]
    out = []
    for k in range(parts):
        part = set(pairs[k * len(pairs) // parts : (k + 1) * len(pairs) // parts])
        cut = [replace(u, pieces=tuple(p for p in u.pieces if p.pair in part)) for u in units]
        kept = [u for u in cut if u.pieces]
        out.append(_task(ym, kept, tuple(p for p in pairs if p in part), inputs))
    return out


def _task(ym: str, units: Sequence[Unit], pairs: tuple[str, ...], inputs: Inputs) -> Task:
    start = inputs.begin(min(inputs.earliest(u.dataset, ym) for u in units))
    end = inputs.end(ym)
    cells = inputs.rows(start, end - 1) * len(pairs)
    # the widest dataset once as float64 over all it looks at and once more as typed lanes
    widest = max(u.look + len(u.columns) * inputs.rows(month_span(ym)[0], end - 1) for u in units) * len(pairs)
    return Task(ym, tuple(units), pairs, start, end, cells, 8 * (cells * (PANEL_ARRAYS + STREAM_ARRAYS) + widest))

"""What each column costs: nanoseconds a value, bytes a value, share of the whole.

Columns of a family share work, so their costs do not simply add up. Each is computed alone on a few days of all lanes;
the time its dataset took in the run is then divided in proportion.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bqx.base.errors import BuildError
from bqx.build.choice import Choice
from bqx.build.gather import anchors, gather
from bqx.build.inputs import Inputs
from bqx.build.ledger import Ledger
from bqx.build.loader import load_panel
from bqx.features.compute import evaluate, reach_groups
from bqx.features.declare import Dataset
from bqx.features.streams import Streams
from bqx.market.calendar import DAY
from bqx.store.column_bytes import column_bytes

if TYPE_CHECKING:
    from bqx.build.project import Project

DAYS = 3
"""Days whose values are computed column by column, back from the last bar."""
REPEATS = 2


@dataclass(frozen=True, slots=True)
class ColumnCost:
    """Core-nanoseconds a value computed: compute_ns its part of the run's, alone_ns without its neighbours. bytes : in
    the file, a value. share : of the computing time of all columns profiled, at equal numbers of values."""

    dataset: str
    column: str
    compute_ns: float
    alone_ns: float
    bytes: float
    share: float


def profile(
    project: Project, choice: Choice | None = None, *, note: Callable[[str], None] | None = None
) -> list[ColumnCost]:
    """Cost of every column of what the store holds, by the last measured cost of its dataset; kept in the manifest.

    note : told of each dataset as it begins. Raises BuildError when nothing has been built and measured.
    """
    ledger = Ledger(project.manifest)
    known = ledger.costs()
    held = {info.key.dataset for info in project.store.partitions()}
    chosen = choice.datasets if choice and choice.datasets else tuple(project.catalogue)
    names = [n for n in chosen if n in held and known is not None and n in known.datasets]
    if not names or known is None:
        raise BuildError("no cost has been measured yet", fix="build a month or more with `bqx build run` first")
    inputs, _ = gather(project)
    last = max(span[1] for span in inputs.spans.values()) + 1
    rows: list[tuple[str, str, float, float, float]] = []
    for name in names:
        if note:
            note(name)
        home = project.catalogue[name]
        sizes, values = _stored(project, name)
        alone = _alone(project, inputs, home, last - DAYS * DAY, last)
        spread = known.datasets[name].compute_ns * len(alone) / max(sum(alone.values()), 1e-9)
        for column, ns in alone.items():
            rows.append((name, column, ns * spread, ns, sizes.get(column, 0) / max(values, 1)))
    total = sum(row[2] for row in rows)
    found = [ColumnCost(*row, row[2] / total if total else 0.0) for row in rows]
    ledger.put_profile([asdict(cost) for cost in found])
    return found


def _stored(project: Project, dataset: str) -> tuple[dict[str, int], int]:
    """Bytes by column and rows, over the dataset's partitions."""
    held = [info for info in project.store.partitions() if info.key.dataset == dataset]
    files = {piece.path: piece.file for info in held for piece in info.pieces}
    return column_bytes(project.files.fetch([files[path] for path in sorted(files)])), sum(info.rows for info in held)


def _alone(project: Project, inputs: Inputs, home: Dataset, start: int, end: int) -> dict[str, float]:
    """Core-nanoseconds a value computed, each column by itself, streams computed beforehand."""
    names = [c.name for c in home.columns]
    begin = min(at for at, _ in reach_groups(home, names, start, end, inputs.calendar))
    panel = load_panel(project.bars, inputs, inputs.pairs, inputs.begin(begin), end, quotes="quotes" in home.uses)
    streams = Streams(panel, inputs.calendar, anchors(inputs))
    row = panel.grid.index(start)
    evaluate(home, streams, names, start_row=row)
    out: dict[str, float] = {}
    for column in names:
        ((at, _),) = reach_groups(home, [column], start, end, inputs.calendar)
        cells = inputs.rows(inputs.begin(at), end - 1) * len(inputs.pairs)
        best = float("inf")
        for _ in range(REPEATS):
            clock = time.thread_time()
            evaluate(home, streams, [column], start_row=row)
            best = min(best, time.thread_time() - clock)
        out[column] = best * 1e9 / max(cells, 1)
    return out


def summary(found: list[ColumnCost]) -> dict[str, Any]:
    """By dataset: columns, mean cost, share; largest first."""
    out: dict[str, dict[str, float]] = {}
    for cost in found:
        entry = out.setdefault(cost.dataset, {"columns": 0, "compute_ns": 0.0, "bytes": 0.0, "share": 0.0})
        entry["columns"] += 1
        entry["compute_ns"] += cost.compute_ns
        entry["bytes"] += cost.bytes
        entry["share"] += cost.share
    for entry in out.values():
        entry["compute_ns"] /= entry["columns"]
        entry["bytes"] /= entry["columns"]
    return dict(sorted(out.items(), key=lambda item: -item[1]["share"]))

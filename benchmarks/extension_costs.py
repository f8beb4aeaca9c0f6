"""python -m benchmarks.extension_costs [--quick] [--pairs N]: what columns of extensions cost, for their pages.

In processor time of the computing thread, so that a busy machine does not count: each dataset over five days and all
that its columns look back on, its time shared out by what each column takes alone. Bytes are those of one pair's month.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from benchmarks.build import END, MONTH, prepare
from benchmarks.machine import RESULTS, provenance
from bqx.build.choice import Choice
from bqx.build.project import Project
from bqx.build.run import build
from bqx.features.anchors import Anchors, find_baseline, segment_edges
from bqx.features.catalogue import earliest, extensions
from bqx.features.compute import evaluate
from bqx.features.declare import Dataset
from bqx.features.streams import Streams
from bqx.market.calendar import DAY
from bqx.market.pairs import PAIRS
from bqx.market.panel import make_panel
from bqx.store.column_bytes import column_bytes

DAYS = 5
REPEATS = 2


def measure(folder: Path, pairs: tuple[str, ...], names: tuple[str, ...]) -> dict[str, Any]:
    """A row a column, as `benchmarks.profile` writes them."""
    project = Project.open(prepare(folder / "p", pairs), overrides={"features.extensions": "all"})
    build(project, Choice(pairs[:1], names, first_month=MONTH, last_month=MONTH), threads=1)
    rows = []
    for name in names:
        home = project.catalogue[name]
        sizes, values = _stored(project, name)
        streams = _streams(project, home, pairs)
        cells = len(streams.panel.grid) * len(pairs)
        whole = _seconds(home, streams, [c.name for c in home.columns])
        alone = {c.name: _seconds(home, streams, [c.name]) for c in home.columns}
        for column, seconds in alone.items():
            part = whole * seconds / sum(alone.values())
            rows.append(
                {
                    "dataset": name,
                    "column": column,
                    "compute_ns": round(part * 1e9 / cells, 4),
                    "alone_ns": round(seconds * 1e9 / cells, 4),
                    "bytes": round(sizes[column] / values, 4),
                }
            )
        print(f"{name}: {whole * 1e9 / cells / len(alone):.1f} ns a value", file=sys.stderr)
    project.close()
    return {**provenance(), "pairs": len(pairs), "columns": rows}  # fmt: skip


def _stored(project: Project, dataset: str) -> tuple[dict[str, int], int]:
    held = [info for info in project.store.partitions() if info.key.dataset == dataset]
    files = [piece.file for info in held for piece in info.pieces]
    return column_bytes(project.files.fetch(files)), sum(info.rows for info in held)


def _streams(project: Project, home: Dataset, pairs: tuple[str, ...]) -> Streams:
    """Streams of the wanted days and of all the dataset looks back on."""
    calendar, start = project.calendar, END - DAYS * DAY
    begin = earliest(home, start, calendar)
    frames = project.bars.read(pairs, begin, END)
    found = {p: find_baseline(f, begin) for p, f in frames.items()}
    baseline = {p: (1, *b) for p, b in found.items() if b is not None}
    panel = make_panel(frames, pairs, calendar.grid(begin, END), quotes=True)
    anchors = Anchors(begin, baseline, {p: segment_edges(f, calendar) for p, f in frames.items()})
    return Streams(panel, calendar, anchors)


def _seconds(home: Dataset, streams: Streams, names: list[str]) -> float:
    """The least of some runs, after one that compiles and makes the streams."""
    evaluate(home, streams, names)
    best = float("inf")
    for _ in range(REPEATS):
        clock = time.thread_time()
        evaluate(home, streams, names)
        best = min(best, time.thread_time() - clock)
    return best


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.extension_costs", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two pairs; prints, writes nothing")
    parser.add_argument("--pairs", type=int, default=len(PAIRS), help="the first N pairs (default all 28)")
    parser.add_argument("--datasets", help="only these, comma-separated; prints, writes nothing")
    args = parser.parse_args()
    names = tuple(args.datasets.split(",")) if args.datasets else tuple(extensions())
    with tempfile.TemporaryDirectory(prefix="bqx-costs-") as folder:
        result = measure(Path(folder), PAIRS[: 2 if args.quick else args.pairs], names)
    text = json.dumps(result, indent=1) + "\n"
    if args.quick or args.datasets:
        print(text)
        return 0
    path = RESULTS / "extension_costs.json"
    path.write_text(text, encoding="utf-8")
    print(f"written: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

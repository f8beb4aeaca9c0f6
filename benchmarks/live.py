"""python -m benchmarks.live [--pairs N] [--minutes M]: what a live minute costs, as a whole and of each dataset."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

import numpy as np

from benchmarks.machine import RESULTS, provenance
from bqx.build.project import Project
from bqx.features.catalogue import own_datasets
from bqx.features.warm import warm
from bqx.market.calendar import DAY, Calendar
from bqx.market.pairs import PAIRS
from bqx.market.simulated import simulate, simulated_source
from bqx.serve.live.engine import Engine
from bqx.serve.live.feeds.replay import Replay
from bqx.serve.live.run import live_run

START = 28_426_260
"""2024-01-21 22:00 UTC, a Sunday."""
WEEKS = 13
"""Of history before: as much as the deepest look-back, so that every column has values."""


def measure(folder: Path, pairs: tuple[str, ...], minutes: int, datasets: list[str]) -> dict[str, Any]:
    """The last minutes of the market, one at a time."""
    calendar = Calendar.load()
    end = calendar.at_ordinal(calendar.ordinal(START + WEEKS * 7 * DAY) + 2 * DAY)
    first = calendar.at_ordinal(calendar.ordinal(end) - minutes)
    project = Project.create(folder / "p", pairs=pairs)
    frames = simulate(calendar, START, end, seed=3, pairs=pairs, origin_minute=START)
    for pair, frame in frames.items():
        project.bars.ingest(pair, frame, simulated_source(3))
    homes = [own_datasets()[name] for name in datasets]
    warm(datasets)
    began = time.perf_counter()
    engine = Engine(project, homes, note=lambda line: print(line, file=sys.stderr), through=first - 1)
    took = time.perf_counter() - began
    whole, core, waited = [], [], [time.perf_counter(), time.thread_time()]
    each: dict[str, list[float]] = {name: [] for name in datasets}
    feed = Replay(project.bars, calendar, engine.pairs, first, end)
    running = live_run(engine, feed)
    take = engine.take

    def timed(minute: int, rows: Any) -> None:
        waited[:] = time.perf_counter(), time.thread_time()
        take(minute, rows)
        whole.append(time.perf_counter() - waited[0])
        core.append(time.thread_time() - waited[1])
        for name, seconds in engine.spent.items():
            each[name].append(seconds)

    engine.take = timed  # type: ignore[method-assign]
    running.run()
    size = sum(p.stat().st_size for p in engine.folder.glob("*.live")) / max(len(list(engine.folder.glob("*.live"))), 1)
    stepped = engine.stepped
    columns = {home.name: len(home.columns) for home in homes}
    engine.close()
    project.close()
    rows = {
        name: {"columns": columns[name], "stepped": stepped[name], **_spread(values[len(values) // 10 :])}
        for name, values in each.items()
    }
    return {
        **provenance(),
        "pairs": len(pairs),
        "columns": sum(columns.values()),
        "minutes": len(whole),
        "prime_seconds": round(took, 1),
        "state_megabytes": round(size / 1e6, 1),
        "wall_ms": _spread(whole),
        "core_ms": _spread(core),
        "datasets": dict(sorted(rows.items(), key=lambda item: -float(item[1]["p50"]))),
    }


def _spread(seconds: list[float]) -> dict[str, float]:
    ms = 1e3 * np.array(seconds)
    return {key: round(float(np.quantile(ms, q)), 3) for key, q in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live", description=__doc__)
    parser.add_argument("--pairs", type=int, default=len(PAIRS), help="the first N pairs (default all 28)")
    parser.add_argument("--minutes", type=int, default=400)
    parser.add_argument("--datasets", default=None, help="only these, with commas; prints, writes nothing")
    args = parser.parse_args()
    names = args.datasets.split(",") if args.datasets else list(own_datasets())
    with tempfile.TemporaryDirectory(prefix="bqx-live-") as folder:
        result = measure(Path(folder), PAIRS[: args.pairs], args.minutes, names)
    text = json.dumps(result, indent=1) + "\n"
    print(text)
    if args.datasets is None and args.pairs == len(PAIRS):
        (RESULTS / "live.json").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A small run of the store, from bars to a compacted lake; killed at a fault point and run again it must go on.

python kill_worker.py FOLDER POINT:HIT...   one project and one process a fault point; prints the exit statuses as JSON
"""

import json
import os
import sys
from pathlib import Path

import polars as pl
import store_tables as tables

from bqx.market.calendar import month_span
from bqx.store.bars import BarStore
from bqx.store.lake import Lake
from bqx.store.manifest import Manifest

AUGUST = month_span("2024_08")[0]
DATASETS = ("returns_raw_rate", "base_bqx")
PAIRS = ("eurusd", "gbpusd")


def run(root: Path) -> None:
    manifest = Manifest(root / "manifest.sqlite")
    bars, lake = BarStore(root, manifest), Lake(root, manifest)
    for pair in PAIRS:
        bars.ingest(pair, pl.concat([tables.bars("2024_07"), tables.bars("2024_08", rows=50)]), tables.SOURCE)
    for dataset in DATASETS:
        lake.commit([tables.stage(lake, dataset, pair, "2024_07", seed=1) for pair in PAIRS])
    for start in (0, 5):
        through = AUGUST + start + 4
        for dataset in DATASETS:
            if any(i.complete_through >= through for i in lake.partitions(dataset=dataset)):
                continue  # this tail was committed before the kill
            data = {pair: tables.month("2024_08", rows=5, start=start, seed=2) for pair in PAIRS}
            options = {"input_hash": f"in-{start}", "code_version": "1", "simulated": False}
            lake.commit(lake.stage_tail(dataset, data, complete_through=through, **options))
    lake.compact()
    manifest.close()


def run_killed(root: Path, where: str) -> int:
    """Run in a process of its own (forked before any thread exists, to save the imports); its wait status."""
    child = os.fork()
    if child == 0:
        os.environ["BQX_FAULT"] = where
        run(root)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(folder: Path, points: list[str]) -> None:
    done = {}
    for where in points:
        root = folder / where.replace(":", "-")
        root.mkdir()
        done[where] = run_killed(root, where)
    print(json.dumps(done))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])

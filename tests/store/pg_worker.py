"""A small run of a store in PostgreSQL, from bars to a compacted store, that can be run again wherever it was cut off.

python pg_worker.py DSN   for each line `FOLDER POINT:HIT` on stdin one run, in a child that dies there; prints how
it ended
"""

import os
import sys
from pathlib import Path

import polars as pl
import store_tables as tables

import postgres_database
from bqx.market.calendar import month_span
from bqx.store.bars import BarStore
from bqx.store.pg.store import PostgresStore

AUGUST = month_span("2024_08")[0]
DATASETS = ("returns_raw_rate", "base_bqx")
PAIRS = ("eurusd", "gbpusd")


def run(root: Path, dsn: str, wait: float = 20.0) -> None:
    manifest = postgres_database.manifest(dsn, wait)
    try:
        work(PostgresStore(root, manifest), BarStore(root, manifest))
    finally:
        manifest.close()


def work(store: PostgresStore, bars: BarStore) -> None:
    """July twice (the second replaces the first), August in two tails, all folded; what is there is left out."""
    for pair in PAIRS:
        bars.ingest(pair, pl.concat([tables.bars("2024_07"), tables.bars("2024_08", rows=50)]), tables.SOURCE)
    for seed, code in ((1, "1"), (2, "2")):
        for dataset in DATASETS:
            if all(info.code_version >= code for info in found(store, dataset, "2024_07")):
                continue
            parts = [tables.stage(store, dataset, p, "2024_07", seed=seed, code_version=code) for p in PAIRS]
            store.commit(parts)
    for start in (0, 5):
        through = AUGUST + start + 4
        for dataset in DATASETS:
            if all(info.complete_through >= through for info in found(store, dataset, "2024_08")):
                continue
            data = {pair: tables.month("2024_08", rows=5, start=start, seed=2) for pair in PAIRS}
            options = {"input_hash": f"in-{start}", "code_version": "2", "simulated": False}
            store.commit(store.stage_tail(dataset, data, complete_through=through, **options))
    store.compact()


class _Absent:
    code_version, complete_through = "", -1


def found(store: PostgresStore, dataset: str, ym: str) -> list[object]:
    infos = [info for info in store.partitions(dataset=dataset) if info.key.ym == ym]
    return [*infos, *[_Absent()] * (len(PAIRS) - len(infos))]


def check_whole(store: PostgresStore) -> None:
    """Whatever a run was cut off by: partitions are absent or complete, those of one commit come together."""
    assert store.verify(deep=True) == []
    for dataset in DATASETS:
        by_month: dict[str, list[object]] = {}
        for info in store.partitions(dataset=dataset):
            assert info.rows in ((300,) if info.key.ym == "2024_07" else (5, 10))
            by_month.setdefault(info.key.ym, []).append((info.complete_through, info.code_version))
        assert all(len(seen) == len(PAIRS) for seen in by_month.values())
        compacting = {ym for ym, seen in by_month.items() if len(set(seen)) > 1}
        assert not compacting


def state(store: PostgresStore, bars: BarStore) -> dict[str, object]:
    """All a reader can see."""
    seen: dict[str, object] = {
        info.name: (info.content_hash, info.complete_through, info.input_hash, len(info.pieces))
        for info in store.partitions()
    }
    seen["rows"] = {d: store.read(d).collect().hash_rows(seed=1).sum() for d in DATASETS}
    seen["days"] = bars.day_hashes(PAIRS, 0, 1 << 40)
    return seen


def run_killed(root: Path, dsn: str, where: str) -> int:
    """Run in a child (forked before this process has any thread, to save the imports); its wait status."""
    child = os.fork()
    if child == 0:
        os.environ["BQX_FAULT"] = where
        run(root, dsn)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    for line in sys.stdin:
        folder, point = line.split()
        print(run_killed(Path(folder), sys.argv[1], point), flush=True)

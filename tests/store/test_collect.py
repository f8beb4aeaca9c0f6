"""What gc and drop take, and what they must leave."""

import os
import time

import pytest
import store_tables as tables
from store_tables import DATASET

from bqx.base.errors import StoreError
from bqx.store.partition import PartitionKey

KEY = (DATASET, "eurusd", "2024_07")


def files(store) -> set[str]:
    return {
        p.relative_to(store.root).as_posix()
        for p in store.root.rglob("*")
        if p.suffix == ".parquet" or ".tmp-" in p.name
    }


def hold_lease(store) -> None:
    with store.manifest.transaction() as con:
        con.execute("INSERT INTO lease VALUES ('build', 'x', 1, 'h', 0, 0, 'r')")


def test_superseded_generations_beyond_keep_go(store) -> None:
    for seed in range(4):
        store.put(KEY, seed=seed)
    assert len(files(store)) == 4
    plan = store.lake.gc(keep_generations=1, dry_run=True)
    assert len(files(store)) == 4
    done = store.lake.gc(keep_generations=1)
    assert (done.generations, done.files, done.bytes) == (plan.generations, plan.files, plan.bytes)
    assert (done.generations, len(done.files)) == (2, 2) and done.bytes > 0
    assert len(files(store)) == 2
    assert store.lake.gc(keep_generations=0).generations == 1
    assert files(store) == {store.lake.partitions()[0].pieces[0].path}
    assert store.lake.verify(deep=True) == []
    assert store.lake.gc(keep_generations=0).files == ()


def test_the_kept_generation_is_the_newest_superseded(store, known) -> None:
    store.put(KEY, seed=0)
    oldest = known(store)
    store.put(KEY, seed=1)
    before_last = known(store)
    store.put(KEY, seed=2)
    store.lake.gc(keep_generations=1)
    got = store.lake.read(DATASET, as_of=before_last).collect().drop("pair")
    assert got.equals(tables.month("2024_07", seed=1))
    with pytest.raises(StoreError):
        store.lake.read(DATASET, as_of=oldest)


def test_orphans_and_temp_files_go_but_strangers_stay(store) -> None:
    store.put(KEY)
    orphan = tables.stage(store.lake, DATASET, "gbpusd", "2024_07", seed=7)
    folder = (store.root / orphan.path).parent
    (folder / ".gbpusd-00.parquet.tmp-1-0").write_bytes(b"half")
    (folder / "notes.txt").write_text("mine")
    done = store.lake.gc()
    assert set(done.files) == {orphan.path, f"lake/{DATASET}/2024_07/.gbpusd-00.parquet.tmp-1-0"}
    assert (folder / "notes.txt").exists() and store.lake.verify() == []


def test_young_orphans_of_a_live_run_stay(store) -> None:
    hold_lease(store)
    young = tables.stage(store.lake, DATASET, "gbpusd", "2024_07", seed=7)
    old = tables.stage(store.lake, DATASET, "usdjpy", "2024_07", seed=8)
    os.utime(store.root / old.path, (time.time() - 7200,) * 2)
    done = store.lake.gc()
    assert (done.files, done.young) == ((old.path,), 1)
    store.lake.commit([young])
    with pytest.raises(StoreError, match="is gone"):
        store.lake.commit([old])
    # staging what lies there already makes it young again
    os.utime(store.root / young.path, (0, 0))
    tables.stage(store.lake, DATASET, "gbpusd", "2024_07", seed=7)
    assert time.time() - (store.root / young.path).stat().st_mtime < 60


def test_a_file_two_generations_share_stays_while_one_lives(store) -> None:
    store.put(KEY, code_version="1")
    store.put(KEY, code_version="2")
    assert len(files(store)) == 1
    assert store.lake.gc(keep_generations=0).generations == 1
    assert len(files(store)) == 1 and store.lake.verify(deep=True) == []


def test_drop_keeps_the_past_until_gc(store, known) -> None:
    store.put(KEY, (DATASET, "gbpusd", "2024_07"))
    then = known(store)
    keys = [PartitionKey(*KEY)]
    assert [i.name for i in store.lake.drop(keys, dry_run=True)] == [keys[0].name]
    assert len(store.lake.partitions()) == 2
    store.lake.drop(keys)
    assert [i.key.pair for i in store.lake.partitions()] == ["gbpusd"]
    assert len(store.lake.partitions(as_of=then)) == 2
    with pytest.raises(StoreError, match="1 partitions do not exist"):
        store.lake.drop(keys)
    assert store.lake.gc(keep_generations=5).generations == 1
    assert len(files(store)) == 1
    store.put(KEY)
    assert len(store.lake.partitions()) == 2


def test_bars_are_never_collected(store, known) -> None:
    store.bars.ingest("eurusd", tables.bars("2024_07", seed=1), tables.SOURCE)
    then = known(store)
    store.bars.ingest("eurusd", tables.bars("2024_07", seed=2), tables.SOURCE)
    assert store.lake.gc(keep_generations=0).files == ()
    first = store.bars.read(["eurusd"], 0, 1 << 40, as_of=then)["eurusd"]
    assert first["close"].equals(tables.bars("2024_07", seed=1)["close"])

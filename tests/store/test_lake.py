"""What only the lake has: files, generations, the past; the contract it shares is in test_contract.py."""

import time
from pathlib import Path

import pytest
import store_tables as tables
from polars.testing import assert_frame_equal
from store_tables import DATASET

from bqx.base.errors import StoreError, UsageError
from bqx.market.calendar import month_span
from bqx.store.contract import Receipt
from bqx.store.lake import Lake

JULY, AUGUST = month_span("2024_07")[0], month_span("2024_08")[0]


def test_a_rebuild_is_a_new_generation_and_as_of_reads_the_old(store, known) -> None:
    store.put((DATASET, "eurusd", "2024_07"), seed=1)
    first = known(store)
    time.sleep(0.001)
    store.put((DATASET, "eurusd", "2024_07"), seed=2)
    second = known(store)
    assert second > first
    now, then = store.lake.read(DATASET).collect(), store.lake.read(DATASET, as_of=first).collect()
    assert_frame_equal(now.drop("pair"), tables.month("2024_07", seed=2))
    assert_frame_equal(then.drop("pair"), tables.month("2024_07", seed=1))
    assert_frame_equal(store.lake.read(DATASET, as_of=second).collect(), now)
    assert store.lake.partitions(as_of=first - 1) == []
    with pytest.raises(StoreError, match="no rows of returns_raw_rate"):
        store.lake.read(DATASET, as_of=first - 1)


def _tail(store, start: int, rows: int, pairs=("eurusd", "gbpusd")) -> list[Receipt]:
    data = {pair: tables.month("2024_08", rows=rows, start=start, seed=len(pair)) for pair in pairs}
    through = AUGUST + start + rows - 1
    return store.lake.stage_tail(
        DATASET, data, input_hash=f"in-{start}", code_version="1", complete_through=through, simulated=False
    )


def test_a_tail_is_known_from_its_own_commit_on(store, known) -> None:
    receipts = _tail(store, 0, 5)
    assert len({r.path for r in receipts}) == 1  # one file for all pairs
    store.lake.commit(receipts)
    then = known(store)
    store.lake.commit(_tail(store, 5, 5))
    assert store.lake.read(DATASET, as_of=then).collect().height == 10
    assert store.lake.read(DATASET).collect().height == 20


def test_rename_moves_no_file_and_allows_swaps(store) -> None:
    store.put((DATASET, "eurusd", "2024_07"), (DATASET, "eurusd", "2024_08"), seed=1)
    store.put(("returns_raw_bqx", "eurusd", "2024_07"), seed=2)
    files = {p: p.read_bytes() for p in store.root.rglob("*.parquet")}
    before = store.lake.read(DATASET).collect()
    assert store.lake.rename({DATASET: "returns_raw_bqx", "returns_raw_bqx": DATASET}) == 3
    assert_frame_equal(store.lake.read("returns_raw_bqx").collect(), before)
    assert store.lake.read(DATASET).collect().height == 300
    assert {p: p.read_bytes() for p in store.root.rglob("*.parquet")} == files
    with pytest.raises(StoreError, match="cannot become"):
        store.lake.rename({DATASET: "returns_raw_bqx"})
    with pytest.raises(StoreError, match="no dataset"):
        store.lake.rename({"base_rate": "base_bqx"})
    with pytest.raises(UsageError):
        store.lake.rename({DATASET: "x; DROP TABLE file"})


def test_digest_speaks_of_contents_not_of_files(store, tmp_path: Path) -> None:
    store.put((DATASET, "eurusd", "2024_07"))
    first = store.lake.digest()
    zstd = Lake(store.root, store.manifest, codec="zstd")
    zstd.commit([tables.stage(zstd, DATASET, "eurusd", "2024_07")])
    assert zstd.digest() == first
    assert len(list(store.root.rglob("*.parquet"))) == 2
    store.put((DATASET, "eurusd", "2024_07"), seed=9)
    assert store.lake.digest() != first


def test_verify_names_what_is_damaged(store) -> None:
    store.put(*((DATASET, pair, "2024_07") for pair in ("eurusd", "gbpusd", "usdjpy")))
    store.bars.ingest("eurusd", tables.bars("2024_07"), tables.SOURCE)
    store.put((DATASET, "audusd", "2024_07"), seed=4)
    assert store.lake.verify(deep=True) == []
    paths = {i.key.pair: store.root / i.pieces[0].path for i in store.lake.partitions()}
    # same content, same file: damage one by removal, one by a flipped bit, one by a cut
    assert paths["eurusd"] != paths["gbpusd"]
    paths["eurusd"].unlink()
    data = bytearray(paths["gbpusd"].read_bytes())
    data[200] ^= 1
    paths["gbpusd"].write_bytes(data)
    paths["usdjpy"].write_bytes(paths["usdjpy"].read_bytes()[:-9])
    [bar_file] = (store.root / "bars").rglob("*.parquet")
    bar_file.write_bytes(bar_file.read_bytes() + b"x")
    shallow = {p.partition: p.what for p in store.lake.verify()}
    assert "missing" in shallow[f"{DATASET}_eurusd_2024_07"]
    assert "bytes instead of" in shallow[f"{DATASET}_usdjpy_2024_07"]
    assert "bytes instead of" in shallow["bars_eurusd_2024_07"]
    assert f"{DATASET}_gbpusd_2024_07" not in shallow
    deep = {p.partition: p.what for p in store.lake.verify(deep=True)}
    assert "bytes have changed" in deep[f"{DATASET}_gbpusd_2024_07"]
    assert f"{DATASET}_audusd_2024_07" not in deep
    # a rebuild heals the flipped bit: the same name always means the same bytes
    store.put((DATASET, "gbpusd", "2024_07"))
    assert f"{DATASET}_gbpusd_2024_07" not in {p.partition for p in store.lake.verify(deep=True)}


def test_verify_sees_a_manifest_that_lies(store) -> None:
    store.put((DATASET, "eurusd", "2024_07"))
    with store.manifest.transaction() as con:
        con.execute("UPDATE piece SET content_hash = 'ff'")
    [problem] = store.lake.verify(deep=True)
    assert "contents" in problem.what
    with store.manifest.transaction() as con:
        con.execute("UPDATE piece SET ts_hash = ?", ("0" * 32,))
    [problem] = store.lake.verify(deep=True)
    assert "minutes" in problem.what
    with store.manifest.transaction() as con:
        con.execute("UPDATE piece SET rows = 299")
    [problem] = store.lake.verify(deep=True)
    assert problem.what == "the file has 300 rows instead of 299"


def test_a_read_takes_only_its_columns_from_the_files(store) -> None:
    store.put((DATASET, "eurusd", "2024_07"))
    plan = store.lake.read(DATASET, ["eurusd"], None, ["b"]).explain(optimized=True)
    assert "PROJECT 2/4 COLUMNS" in plan, plan

"""Stage, commit, read: what goes in comes out, nothing half-written is ever seen, the past stays readable."""

import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import store_tables as tables
from polars.testing import assert_frame_equal
from store_tables import DATASET

from bqx.base.errors import StoreError, UsageError
from bqx.market.calendar import month_span
from bqx.store.contract import FeatureStore, Receipt
from bqx.store.lake import Lake
from bqx.store.partition import PartitionKey

JULY, AUGUST = month_span("2024_07")[0], month_span("2024_08")[0]


def test_the_lake_is_a_feature_store(store) -> None:
    def takes(contract: FeatureStore) -> FeatureStore:
        return contract

    assert takes(store.lake) is store.lake


def test_what_is_written_is_read_back(store) -> None:
    for pair in ("gbpusd", "eurusd"):
        for ym in ("2024_08", "2024_07"):
            store.put((DATASET, pair, ym), seed=len(pair + ym))
    got = store.lake.read(DATASET).collect()
    want = [
        tables.month(ym, seed=13).select(pl.lit(pair).alias("pair"), pl.all())
        for pair in ("eurusd", "gbpusd")
        for ym in ("2024_07", "2024_08")
    ]
    assert_frame_equal(got, pl.concat(want))
    assert got["a"].null_count() > 50


def test_staged_is_invisible_until_committed(store) -> None:
    receipt = tables.stage(store.lake, DATASET, "eurusd", "2024_07")
    assert (store.root / receipt.path).is_file()
    assert store.lake.partitions() == []
    store.lake.commit([Receipt.from_dict(receipt.as_dict())])
    [info] = store.lake.partitions()
    table = tables.month("2024_07")
    assert (info.name, info.rows, info.columns) == (f"{DATASET}_eurusd_2024_07", 300, ("a", "b", "flag"))
    assert (info.first_minute, info.last_minute, info.complete_through) == (JULY, JULY + 299, AUGUST - 1)
    assert info.null_counts == {name: table[name].null_count() for name in ("a", "b", "flag")}
    assert (info.input_hash, info.code_version, info.simulated) == ("in-1", "1", False)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.with_columns(a=pl.lit(float("nan"), pl.Float32)), "column a has 300 NaN"),
        (lambda t: t.with_columns(b=pl.lit(float("-inf"), pl.Float32)), "column b has 0 NaN and 300 infinite"),
        (lambda t: pl.concat([t, t.tail(1)]), "first row 300"),
        (lambda t: t.reverse(), "ts_utc must rise: 299 rows"),
        (lambda t: t.with_columns(pl.col("ts_utc") + pl.duration(seconds=30)), "not on a whole minute"),
        (lambda t: t.with_columns(pl.col("ts_utc") - pl.duration(minutes=1)), "leave the month"),
        (lambda t: t.with_columns(pl.col("ts_utc") + pl.duration(days=31)), "leave the month"),
        (lambda t: t.with_columns(pl.col("ts_utc").dt.replace_time_zone(None)), "microseconds UTC"),
        (lambda t: t.select("a", "ts_utc"), "first column must be ts_utc"),
        (lambda t: t.head(0), "without rows"),
        (lambda t: t.with_columns(ts_utc=pl.when(pl.int_range(pl.len()) > 5).then("ts_utc")), "no ts_utc"),
    ],
)
def test_bad_tables_are_refused_and_leave_no_file(store, spoil, message: str) -> None:
    with pytest.raises(StoreError, match=message) as caught:
        tables.stage(store.lake, DATASET, "eurusd", "2024_07", table=spoil(tables.month("2024_07")))
    assert f"{DATASET}_eurusd_2024_07" in str(caught.value)
    assert not list(store.root.rglob("*.parquet"))


def test_one_bad_receipt_stops_the_whole_commit(store) -> None:
    good = tables.stage(store.lake, DATASET, "eurusd", "2024_07")
    bad = tables.stage(store.lake, DATASET, "gbpusd", "2024_07", seed=1)
    (store.root / bad.path).unlink()
    with pytest.raises(StoreError, match="is gone"):
        store.lake.commit([good, bad])
    assert store.lake.partitions() == []
    with pytest.raises(StoreError, match="twice"):
        store.lake.commit([good, tables.stage(store.lake, DATASET, "eurusd", "2024_07", seed=5)])


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


def test_committing_the_same_again_changes_nothing(store, known) -> None:
    store.put((DATASET, "eurusd", "2024_07"))
    before = known(store), store.lake.partitions()
    store.put((DATASET, "eurusd", "2024_07"))
    assert (known(store), store.lake.partitions()) == before
    store.put((DATASET, "eurusd", "2024_07"), code_version="2")
    [info] = store.lake.partitions()
    assert info.code_version == "2" and info.generation != before[1][0].generation


def test_span_columns_and_pairs(store) -> None:
    for ym in ("2024_07", "2024_08"):
        store.put((DATASET, "eurusd", ym), (DATASET, "gbpusd", ym))
    got = store.lake.read(DATASET, ["eurusd"], (JULY + 290, AUGUST + 10), ["b"]).collect()
    assert got.columns == ["pair", "ts_utc", "b"]
    want = pl.concat([tables.month("2024_07").slice(290), tables.month("2024_08").head(10)])
    assert_frame_equal(got.drop("pair"), want.select("ts_utc", "b"))
    plan = store.lake.read(DATASET, ["eurusd"], None, ["b"]).explain(optimized=True)
    assert "PROJECT 2/4 COLUMNS" in plan, plan
    with pytest.raises(StoreError, match="column zz is not in"):
        store.lake.read(DATASET, columns=["zz"])
    with pytest.raises(StoreError, match="for usdjpy"):
        store.lake.read(DATASET, ["usdjpy"])


def test_several_datasets_side_by_side(store) -> None:
    for dataset in (DATASET, "base_bqx"):
        for pair in ("eurusd", "gbpusd"):
            store.put((dataset, pair, "2024_07"), (dataset, pair, "2024_08"), seed=len(dataset))
    frame = store.lake.read(
        [DATASET, "base_bqx"], span=(JULY + 5, AUGUST + 5), columns=["base_bqx.a", f"{DATASET}.a"]
    ).collect()
    assert frame.columns == ["pair", "ts_utc", "base_bqx.a", f"{DATASET}.a"]
    for dataset in (DATASET, "base_bqx"):
        alone = store.lake.read(dataset, span=(JULY + 5, AUGUST + 5), columns=["a"]).collect()
        assert_frame_equal(frame.select("pair", "ts_utc", pl.col(f"{dataset}.a").alias("a")), alone)
    whole = store.lake.read([DATASET, "base_bqx"]).collect()
    assert whole.shape == (1200, 8)
    with pytest.raises(StoreError, match=r"write \{dataset\}"):
        store.lake.read([DATASET, "base_bqx"], columns=["a"])


def test_rows_that_do_not_match_are_an_error_not_a_join(store) -> None:
    store.put((DATASET, "eurusd", "2024_07"))
    store.put(("base_bqx", "eurusd", "2024_07"), rows=299)
    with pytest.raises(StoreError, match=r"has 300 rows .* has 299"):
        store.lake.read([DATASET, "base_bqx"])
    store.put((DATASET, "eurusd", "2024_08"))
    with pytest.raises(StoreError, match="2024_08 is in returns_raw_rate but not in base_bqx"):
        store.lake.read([DATASET, "base_bqx"])


def test_partitions_of_different_code_need_named_columns(store) -> None:
    store.put((DATASET, "eurusd", "2024_07"))
    store.put((DATASET, "eurusd", "2024_08"), columns=("a", "b", "c"))
    with pytest.raises(StoreError, match="different columns"):
        store.lake.read(DATASET)
    assert store.lake.read(DATASET, columns=["b", "a"]).collect().columns == ["pair", "ts_utc", "b", "a"]
    with pytest.raises(StoreError, match="column c is not in returns_raw_rate_eurusd_2024_07"):
        store.lake.read(DATASET, columns=["c"])


def _tail(store, start: int, rows: int, pairs=("eurusd", "gbpusd")) -> list[Receipt]:
    data = {pair: tables.month("2024_08", rows=rows, start=start, seed=len(pair)) for pair in pairs}
    through = AUGUST + start + rows - 1
    return store.lake.stage_tail(
        DATASET, data, input_hash=f"in-{start}", code_version="1", complete_through=through, simulated=False
    )


def test_tails_read_like_month_files_and_compact_changes_no_value(store, known) -> None:
    store.put((DATASET, "eurusd", "2024_07"), (DATASET, "gbpusd", "2024_07"))
    store.put((DATASET, "eurusd", "2024_08"), rows=10, complete_through=AUGUST + 9)
    store.lake.commit(_tail(store, 0, 10, ("gbpusd",)))
    for start in (10, 11, 50):
        receipts = _tail(store, start, 1 if start < 50 else 7)
        assert len({r.path for r in receipts}) == 1
        store.lake.commit(receipts)
    before = store.lake.read(DATASET).collect()
    assert before.height == 2 * (300 + 10 + 1 + 1 + 7)
    infos = store.lake.partitions(pair="eurusd")
    assert [len(i.pieces) for i in infos] == [1, 4]
    assert (infos[1].complete_through, infos[1].input_hash) == (AUGUST + 56, "in-50")
    cut = known(store)
    some = store.lake.read(DATASET, ["gbpusd"], (AUGUST + 5, AUGUST + 52), ["b"]).collect()

    plan = store.lake.compact(dry_run=True)
    assert [len(i.pieces) for i in store.lake.partitions(pair="eurusd")] == [1, 4]
    done = store.lake.compact()
    assert done.partitions == plan.partitions == tuple(f"{DATASET}_{p}_2024_08" for p in ("eurusd", "gbpusd"))
    after = store.lake.partitions()
    assert [len(i.pieces) for i in after] == [1, 1, 1, 1]
    assert [i.ts_hash for i in after] == [i.ts_hash for i in store.lake.partitions(as_of=cut)]
    assert (after[1].complete_through, after[1].input_hash) == (AUGUST + 56, "in-50")
    assert_frame_equal(store.lake.read(DATASET).collect(), before)
    assert_frame_equal(store.lake.read(DATASET, as_of=cut).collect(), before)
    assert_frame_equal(store.lake.read(DATASET, ["gbpusd"], (AUGUST + 5, AUGUST + 52), ["b"]).collect(), some)
    assert store.lake.compact().partitions == ()
    assert store.lake.verify(deep=True) == []


def test_a_tail_is_known_from_its_own_commit_on(store, known) -> None:
    store.lake.commit(_tail(store, 0, 5))
    then = known(store)
    store.lake.commit(_tail(store, 5, 5))
    assert store.lake.read(DATASET, as_of=then).collect().height == 10
    assert store.lake.read(DATASET).collect().height == 20


def test_a_tail_must_follow_its_partition(store) -> None:
    store.lake.commit(_tail(store, 0, 5))
    with pytest.raises(StoreError, match="complete through"):
        store.lake.commit(_tail(store, 4, 5))
    assert store.lake.read(DATASET).collect().height == 10


def test_a_tail_over_the_end_of_a_month_makes_two_partitions(store) -> None:
    minutes = AUGUST + np.arange(-3, 4, dtype=np.int64)
    table = pl.DataFrame({"ts_utc": tables.stamps(minutes), "a": np.arange(7, dtype=np.float32)})
    receipts = store.lake.stage_tail(
        DATASET, {"eurusd": table}, input_hash="i", code_version="1", complete_through=AUGUST + 3, simulated=True
    )
    store.lake.commit(receipts)
    infos = store.lake.partitions()
    assert [(i.key.ym, i.rows, i.complete_through) for i in infos] == [
        ("2024_07", 3, AUGUST - 1),
        ("2024_08", 4, AUGUST + 3),
    ]
    assert store.lake.read(DATASET).collect()["a"].to_list() == list(range(7))


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


def test_the_key_names_the_folder(store) -> None:
    with pytest.raises(UsageError):
        store.lake.stage(
            PartitionKey("../../etc_rate", "eurusd", "2024_07"),
            tables.month("2024_07"),
            input_hash="i",
            code_version="1",
            complete_through=AUGUST,
            simulated=False,
        )

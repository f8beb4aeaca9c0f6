"""The contract of a feature store, one body for every engine: the lake, PostgreSQL 15 and 18."""

import hashlib

import numpy as np
import polars as pl
import pytest
import store_tables as tables
from polars.testing import assert_frame_equal
from store_tables import DATASET

from bqx.base.errors import StoreError, Unsupported, UsageError
from bqx.market.calendar import month_span
from bqx.store.content import content_hash
from bqx.store.contract import FeatureStore, Receipt
from bqx.store.partition import PartitionKey

JULY, AUGUST = month_span("2024_07")[0], month_span("2024_08")[0]


@pytest.fixture
def store(any_store):
    return any_store


def test_it_is_a_feature_store(store) -> None:
    def takes(contract: FeatureStore) -> FeatureStore:
        return contract

    assert takes(store.features) is store.features


def test_what_is_written_is_read_back(store) -> None:
    for pair in ("gbpusd", "eurusd"):
        for ym in ("2024_08", "2024_07"):
            store.put((DATASET, pair, ym), seed=len(pair + ym))
    got = store.features.read(DATASET).collect()
    want = [
        tables.month(ym, seed=13).select(pl.lit(pair).alias("pair"), pl.all())
        for pair in ("eurusd", "gbpusd")
        for ym in ("2024_07", "2024_08")
    ]
    assert_frame_equal(got, pl.concat(want))
    assert got["a"].null_count() > 50


def test_staged_is_invisible_until_committed(store) -> None:
    receipt = tables.stage(store.features, DATASET, "eurusd", "2024_07")
    assert (store.root / receipt.path).is_file()
    assert store.features.partitions() == []
    store.features.commit([Receipt.from_dict(receipt.as_dict())])
    [info] = store.features.partitions()
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
        tables.stage(store.features, DATASET, "eurusd", "2024_07", table=spoil(tables.month("2024_07")))
    assert f"{DATASET}_eurusd_2024_07" in str(caught.value)
    assert not [path for path in store.root.rglob("*") if path.suffix in (".parquet", ".copy")]


def test_one_bad_receipt_stops_the_whole_commit(store) -> None:
    good = tables.stage(store.features, DATASET, "eurusd", "2024_07")
    bad = tables.stage(store.features, DATASET, "gbpusd", "2024_07", seed=1)
    (store.root / bad.path).unlink()
    with pytest.raises(StoreError, match="is gone"):
        store.features.commit([good, bad])
    assert store.features.partitions() == []
    with pytest.raises(StoreError, match="twice"):
        store.features.commit([good, tables.stage(store.features, DATASET, "eurusd", "2024_07", seed=5)])


def test_committing_the_same_again_changes_nothing(store, known) -> None:
    store.put((DATASET, "eurusd", "2024_07"))
    before = known(store), store.features.partitions()
    store.put((DATASET, "eurusd", "2024_07"))
    assert (known(store), store.features.partitions()) == before
    store.put((DATASET, "eurusd", "2024_07"), code_version="2")
    [info] = store.features.partitions()
    assert info.code_version == "2" and info.generation != before[1][0].generation


def test_span_columns_and_pairs(store) -> None:
    for ym in ("2024_07", "2024_08"):
        store.put((DATASET, "eurusd", ym), (DATASET, "gbpusd", ym))
    got = store.features.read(DATASET, ["eurusd"], (JULY + 290, AUGUST + 10), ["b"]).collect()
    assert got.columns == ["pair", "ts_utc", "b"]
    want = pl.concat([tables.month("2024_07").slice(290), tables.month("2024_08").head(10)])
    assert_frame_equal(got.drop("pair"), want.select("ts_utc", "b"))
    with pytest.raises(StoreError, match="column zz is not in"):
        store.features.read(DATASET, columns=["zz"])
    with pytest.raises(StoreError, match="for usdjpy"):
        store.features.read(DATASET, ["usdjpy"])


def test_several_datasets_side_by_side(store) -> None:
    for dataset in (DATASET, "base_bqx"):
        for pair in ("eurusd", "gbpusd"):
            store.put((dataset, pair, "2024_07"), (dataset, pair, "2024_08"), seed=len(dataset))
    frame = store.features.read(
        [DATASET, "base_bqx"], span=(JULY + 5, AUGUST + 5), columns=["base_bqx.a", f"{DATASET}.a"]
    ).collect()
    assert frame.columns == ["pair", "ts_utc", "base_bqx.a", f"{DATASET}.a"]
    for dataset in (DATASET, "base_bqx"):
        alone = store.features.read(dataset, span=(JULY + 5, AUGUST + 5), columns=["a"]).collect()
        assert_frame_equal(frame.select("pair", "ts_utc", pl.col(f"{dataset}.a").alias("a")), alone)
    whole = store.features.read([DATASET, "base_bqx"]).collect()
    assert whole.shape == (1200, 8)
    with pytest.raises(StoreError, match=r"write \{dataset\}"):
        store.features.read([DATASET, "base_bqx"], columns=["a"])


def test_rows_that_do_not_match_are_an_error_not_a_join(store) -> None:
    store.put((DATASET, "eurusd", "2024_07"))
    store.put(("base_bqx", "eurusd", "2024_07"), rows=299)
    with pytest.raises(StoreError, match=r"has 300 rows .* has 299"):
        store.features.read([DATASET, "base_bqx"])
    store.put((DATASET, "eurusd", "2024_08"))
    with pytest.raises(StoreError, match="2024_08 is in returns_raw_rate but not in base_bqx"):
        store.features.read([DATASET, "base_bqx"])


def test_partitions_of_different_code_need_named_columns(store) -> None:
    store.put((DATASET, "eurusd", "2024_07"))
    store.put((DATASET, "eurusd", "2024_08"), columns=("a", "b", "c"))
    with pytest.raises(StoreError, match="different columns"):
        store.features.read(DATASET)
    assert store.features.read(DATASET, columns=["b", "a"]).collect().columns == ["pair", "ts_utc", "b", "a"]
    with pytest.raises(StoreError, match="column c is not in returns_raw_rate_eurusd_2024_07"):
        store.features.read(DATASET, columns=["c"])


def _tail(store, start: int, rows: int, pairs=("eurusd", "gbpusd")) -> list[Receipt]:
    data = {pair: tables.month("2024_08", rows=rows, start=start, seed=len(pair)) for pair in pairs}
    through = AUGUST + start + rows - 1
    return store.features.stage_tail(
        DATASET, data, input_hash=f"in-{start}", code_version="1", complete_through=through, simulated=False
    )


def test_tails_read_like_month_files_and_compact_changes_no_value(store, known) -> None:
    store.put((DATASET, "eurusd", "2024_07"), (DATASET, "gbpusd", "2024_07"))
    store.put((DATASET, "eurusd", "2024_08"), rows=10, complete_through=AUGUST + 9)
    store.features.commit(_tail(store, 0, 10, ("gbpusd",)))
    for start in (10, 11, 50):
        receipts = _tail(store, start, 1 if start < 50 else 7)
        store.features.commit(receipts)
    before = store.features.read(DATASET).collect()
    assert before.height == 2 * (300 + 10 + 1 + 1 + 7)
    infos = store.features.partitions(pair="eurusd")
    assert [len(i.pieces) for i in infos] == [1, 4]
    assert (infos[1].complete_through, infos[1].input_hash) == (AUGUST + 56, "in-50")
    cut = known(store) if store.keeps_history else None
    some = store.features.read(DATASET, ["gbpusd"], (AUGUST + 5, AUGUST + 52), ["b"]).collect()

    hashes = [i.ts_hash for i in store.features.partitions()]
    plan = store.features.compact(dry_run=True)
    assert [len(i.pieces) for i in store.features.partitions(pair="eurusd")] == [1, 4]
    done = store.features.compact()
    assert done.partitions == plan.partitions == tuple(f"{DATASET}_{p}_2024_08" for p in ("eurusd", "gbpusd"))
    after = store.features.partitions()
    assert [len(i.pieces) for i in after] == [1, 1, 1, 1]
    assert [i.ts_hash for i in after] == hashes
    assert (after[1].complete_through, after[1].input_hash) == (AUGUST + 56, "in-50")
    assert_frame_equal(store.features.read(DATASET).collect(), before)
    if cut is not None:
        assert_frame_equal(store.features.read(DATASET, as_of=cut).collect(), before)
    assert_frame_equal(store.features.read(DATASET, ["gbpusd"], (AUGUST + 5, AUGUST + 52), ["b"]).collect(), some)
    assert store.features.compact().partitions == ()
    assert store.features.verify(deep=True) == []


def test_a_tail_must_follow_its_partition(store) -> None:
    store.features.commit(_tail(store, 0, 5))
    with pytest.raises(StoreError, match="complete through"):
        store.features.commit(_tail(store, 4, 5))
    assert store.features.read(DATASET).collect().height == 10


def test_a_tail_over_the_end_of_a_month_makes_two_partitions(store) -> None:
    minutes = AUGUST + np.arange(-3, 4, dtype=np.int64)
    table = pl.DataFrame({"ts_utc": tables.stamps(minutes), "a": np.arange(7, dtype=np.float32)})
    receipts = store.features.stage_tail(
        DATASET, {"eurusd": table}, input_hash="i", code_version="1", complete_through=AUGUST + 3, simulated=True
    )
    store.features.commit(receipts)
    infos = store.features.partitions()
    assert [(i.key.ym, i.rows, i.complete_through) for i in infos] == [
        ("2024_07", 3, AUGUST - 1),
        ("2024_08", 4, AUGUST + 3),
    ]
    assert store.features.read(DATASET).collect()["a"].to_list() == list(range(7))


def test_the_key_names_the_folder(store) -> None:
    with pytest.raises(UsageError):
        store.features.stage(
            PartitionKey("../../etc_rate", "eurusd", "2024_07"),
            tables.month("2024_07"),
            input_hash="i",
            code_version="1",
            complete_through=AUGUST,
            simulated=False,
        )


def test_rename_allows_swaps_and_refuses_what_is_taken(store) -> None:
    store.put((DATASET, "eurusd", "2024_07"), (DATASET, "eurusd", "2024_08"), seed=1)
    store.put(("returns_raw_bqx", "eurusd", "2024_07"), seed=2)
    before = store.features.read(DATASET).collect()
    assert store.features.rename({DATASET: "returns_raw_bqx", "returns_raw_bqx": DATASET}) == 3
    assert_frame_equal(store.features.read("returns_raw_bqx").collect(), before)
    assert store.features.read(DATASET).collect().height == 300
    assert store.features.verify(deep=True) == []
    with pytest.raises(StoreError, match="cannot become"):
        store.features.rename({DATASET: "returns_raw_bqx"})
    with pytest.raises(StoreError, match="no dataset"):
        store.features.rename({"base_rate": "base_bqx"})
    with pytest.raises(UsageError):
        store.features.rename({DATASET: "x; DROP TABLE file"})
    store.put(("returns_raw_bqx", "gbpusd", "2024_07"))  # the swapped tables take rows
    assert len(store.features.partitions(dataset="returns_raw_bqx")) == 3


def test_drop_removes_what_is_current_and_refuses_what_is_absent(store) -> None:
    store.put((DATASET, "eurusd", "2024_07"), (DATASET, "gbpusd", "2024_07"))
    keys = [PartitionKey(DATASET, "eurusd", "2024_07")]
    assert [i.name for i in store.features.drop(keys, dry_run=True)] == [keys[0].name]
    assert len(store.features.partitions()) == 2
    store.features.drop(keys)
    assert [i.key.pair for i in store.features.partitions()] == ["gbpusd"]
    assert store.features.read(DATASET).collect()["pair"].unique().to_list() == ["gbpusd"]
    with pytest.raises(StoreError, match="1 partitions do not exist"):
        store.features.drop(keys)
    assert store.features.verify(deep=True) == []
    store.features.gc(keep_generations=0)
    store.put((DATASET, "eurusd", "2024_07"), seed=4)
    assert len(store.features.partitions()) == 2 and store.features.verify(deep=True) == []


def test_the_content_hash_is_that_of_the_table_whatever_keeps_it(store) -> None:
    store.put((DATASET, "eurusd", "2024_07"), seed=3)
    [info] = store.features.partitions()
    table = tables.month("2024_07", seed=3)
    assert info.content_hash == content_hash(table)
    assert content_hash(store.features.read(DATASET).collect().drop("pair")) == info.content_hash
    lines = f"{info.name} {content_hash(table)} {AUGUST - 1}\n"
    assert store.features.digest() == hashlib.sha256(lines.encode()).hexdigest()


def test_extreme_values_and_all_null_columns_come_back_as_they_were(store) -> None:
    edge = np.array([np.finfo(np.float32).max, np.finfo(np.float32).tiny, 1e-45, -0.0, 3.0], dtype=np.float32)
    table = pl.DataFrame(
        {
            "ts_utc": tables.stamps(JULY + np.arange(5, dtype=np.int64)),
            "a": edge,
            "b": pl.Series([None] * 5, dtype=pl.Float32),
            "flag": pl.Series([-32768, 32767, None, 0, 1], dtype=pl.Int16),
        }
    )
    store.features.commit([tables.stage(store.features, DATASET, "eurusd", "2024_07", table=table)])
    back = store.features.read(DATASET).collect().drop("pair")
    assert content_hash(back) == content_hash(table)
    assert np.signbit(back["a"][3])


def test_a_rebuild_replaces_and_the_past_is_kept_or_refused(store, known) -> None:
    store.put((DATASET, "eurusd", "2024_07"), seed=1)
    first = known(store)
    opened = store.features.read(DATASET)
    store.put((DATASET, "eurusd", "2024_07"), seed=2, rows=280)
    assert_frame_equal(store.features.read(DATASET).collect().drop("pair"), tables.month("2024_07", seed=2, rows=280))
    assert store.features.verify(deep=True) == []
    if store.keeps_history:
        assert_frame_equal(opened.collect().drop("pair"), tables.month("2024_07", seed=1))
        assert store.features.read(DATASET, as_of=first).collect().height == 300
        return
    with pytest.raises(StoreError, match="replaced since this frame was opened"):
        opened.collect()
    for refused in (store.features.read, store.features.partitions):
        with pytest.raises(Unsupported, match="current generation only"):
            refused(dataset=DATASET, as_of=first) if refused == store.features.partitions else refused(
                DATASET, as_of=first
            )

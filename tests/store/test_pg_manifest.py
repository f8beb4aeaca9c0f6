"""The manifest in PostgreSQL keeps the promises of the SQLite file: bars, registries, snapshots, one writer."""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import store_tables as tables
from polars.testing import assert_frame_equal
from store_engines import ENGINES, TABLES, Store, open_postgres, open_store
from store_tables import DATASET

import postgres_database
from bqx.base.errors import StoreError, Unsupported
from bqx.market.bars import as_bars
from bqx.store.files import LocalFiles
from bqx.store.lake import Lake
from bqx.store.manifest import Manifest
from bqx.store.pg.dialect import translate
from bqx.store.registry import Baseline, baselines, calendars, put_baseline, put_calendar
from bqx.store.schema import STEPS
from bqx.store.transfer import carry_bars, copy_partitions
from postgres_server import Server

EVER = (0, 1 << 40)


@pytest.fixture(params=ENGINES[1:])
def dsn(request: pytest.FixtureRequest, postgres: Callable[[int], Server], postgres_prepared) -> str:
    server = os.environ.get("BQX_TEST_DSN") or postgres(int(request.param.partition("-")[2])).dsn()
    return postgres_prepared.of(server, "toy", TABLES)


@pytest.fixture
def store(dsn: str, tmp_path: Path) -> Iterator[Store]:
    opened = open_postgres(tmp_path, dsn)
    yield opened
    opened.manifest.close()


def test_it_has_the_tables_and_columns_of_the_sqlite_file(dsn: str, store: Store) -> None:
    lite = sqlite3.connect(":memory:")
    for step in STEPS:
        step(lite)
    want = {
        name: [row[1] for row in lite.execute(f"PRAGMA table_info({name})")]
        for (name,) in lite.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    }
    with psycopg.connect(dsn) as con:
        found: dict[str, list[str]] = {}
        for table, column in con.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'bqx_manifest' "
            "ORDER BY table_name, ordinal_position"
        ):
            found.setdefault(table, []).append(column)
    assert {name: found.get(name) for name in want} == want
    assert store.manifest.format() == len(STEPS)


def test_bars_and_their_past(store: Store, known) -> None:
    frame = tables.bars("2024_07")
    store.bars.ingest("eurusd", frame, tables.SOURCE)
    then = known(store)
    better = tables.bars("2024_07", seed=1, rows=100)
    result = store.bars.ingest("eurusd", better, {**tables.SOURCE, "files": [["b.csv", "11ee", 13]]})
    assert (result.corrected, result.new) == (100, 0)
    assert_frame_equal(store.bars.read(["eurusd"], *EVER, as_of=then)["eurusd"], as_bars(frame))
    assert_frame_equal(store.bars.read(["eurusd"], *EVER)["eurusd"].head(100), as_bars(better))
    assert store.bars.months()[0]["versions"] == 2 and not store.bars.simulated()
    assert [piece["vendor"] for piece in store.bars.pieces()] == ["shop", "shop"]
    assert len(store.bars.sources()) == 2 and len(store.bars.sources(as_of=then)) == 1
    assert len(store.bars.day_hashes(["eurusd"], *EVER)) == 3
    again = store.bars.ingest("eurusd", better, {**tables.SOURCE, "files": [["b.csv", "11ee", 13]]})
    assert again.unchanged == 100 and store.features.verify(deep=True) == []


def test_registries_are_append_only(store: Store) -> None:
    baseline = Baseline("eurusd", 1, 10, 12, 1.1, "h")
    put_baseline(store.manifest, baseline)
    put_baseline(store.manifest, baseline)
    assert baselines(store.manifest) == [baseline]
    with pytest.raises(StoreError, match="append-only"):
        put_baseline(store.manifest, Baseline("eurusd", 1, 10, 12, 1.2, "h"))
    put_calendar(store.manifest, "d", "1", "{}")
    assert len(calendars(store.manifest)) == 1
    for statement in ("UPDATE baseline SET t0 = 1", "DELETE FROM calendar"):
        with pytest.raises(StoreError, match="append-only"), store.manifest.transaction() as con:
            con.execute(statement)


def test_readers_have_a_snapshot_and_a_failed_transaction_leaves_nothing(dsn: str, store: Store) -> None:
    other = postgres_database.manifest(dsn)
    with other.connection() as reader:
        assert reader.execute("SELECT count(*) FROM kv").fetchone() == (0,)
        with store.manifest.transaction() as con:
            con.execute("INSERT OR REPLACE INTO kv VALUES (?, ?)", ("k", "100%'s"))
        assert reader.execute("SELECT count(*) FROM kv").fetchone() == (0,)
    with pytest.raises(ZeroDivisionError), store.manifest.transaction() as con:
        con.execute("DELETE FROM kv")
        raise ZeroDivisionError
    with other.connection() as reader:
        assert reader.execute("SELECT value FROM kv WHERE key = ?1 OR ?1 IS NULL", ("k",)).fetchone() == ("100%'s",)
    other.close()


def test_writers_beside_each_other_all_arrive(dsn: str, store: Store, tmp_path: Path) -> None:
    """Four threads with connections of their own, each its own partitions, two of them the same ones."""
    failures: list[BaseException] = []

    def work(number: int) -> None:
        root = tmp_path / f"host{number}"
        root.mkdir()
        mine = open_postgres(root, dsn)
        try:
            for month in range(1, 7):
                pair = ("eurusd", "gbpusd", "usdjpy", "usdjpy")[number]
                mine.put((DATASET, pair, f"2024_{month:02}"), seed=number)
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failures.append(error)
        finally:
            mine.manifest.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    infos = store.features.partitions()
    assert len(infos) == 18 and all(info.rows == 300 for info in infos)
    with store.manifest.connection() as con:
        ticks = [row[0] for row in con.execute("SELECT known_at FROM change ORDER BY known_at")]
    assert len(ticks) == 24 == len(set(ticks))
    assert store.features.verify(deep=True) == []


def test_a_lake_may_have_its_manifest_there(dsn: str, store: Store, tmp_path: Path) -> None:
    """For several hosts that share a folder: two lakes over one manifest see each other's commits."""
    one, two = (Lake(tmp_path, postgres_database.manifest(dsn)) for _ in range(2))
    one.commit([tables.stage(one, DATASET, "eurusd", "2024_07", seed=1)])
    two.commit([tables.stage(two, DATASET, "eurusd", "2024_07", seed=2)])
    two.commit([tables.stage(two, DATASET, "gbpusd", "2024_07", seed=2)])
    assert one.digest() == two.digest() and len(one.partitions()) == 2
    first = min(info.known_from for info in one.partitions()) - 1
    assert one.read(DATASET, as_of=first).collect().drop("pair").equals(tables.month("2024_07", seed=1))
    assert one.gc(keep_generations=0).generations == 1
    assert one.verify(deep=True) == []
    for lake in (one, two):
        lake.manifest.close()


def test_copies_between_stores_are_equal_both_ways(store: Store, tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "back").mkdir()
    lake, back = open_store(tmp_path / "lake"), open_store(tmp_path / "back")
    lake.bars.ingest("eurusd", tables.bars("2024_07"), tables.SOURCE)
    lake.put((DATASET, "eurusd", "2024_07"), (DATASET, "gbpusd", "2024_07"), ("base_bqx", "eurusd", "2024_07"))
    through = tables.month_span("2024_08")[0] + 4
    tail = {"eurusd": tables.month("2024_08", rows=5)}
    options = {"input_hash": "i", "code_version": "1", "complete_through": through, "simulated": False}
    lake.features.commit(lake.features.stage_tail(DATASET, tail, **options))
    assert carry_bars(lake.manifest, LocalFiles(lake.root), store.manifest, LocalFiles(store.root)) == 1
    assert carry_bars(lake.manifest, LocalFiles(lake.root), store.manifest, LocalFiles(store.root)) == 0
    dry = copy_partitions(lake.features, store.features, dry_run=True)
    assert len(dry.copied) == 4 and store.features.partitions() == []
    done = copy_partitions(lake.features, store.features)
    assert (done.copied, done.rows) == (dry.copied, 905)
    assert store.features.digest() == lake.features.digest()
    assert store.bars.day_hashes(["eurusd"], *EVER) == lake.bars.day_hashes(["eurusd"], *EVER)
    assert store.features.verify(deep=True) == []
    again = copy_partitions(lake.features, store.features)
    assert (again.copied, len(again.same)) == ((), 4)
    assert carry_bars(store.manifest, LocalFiles(store.root), back.manifest, LocalFiles(back.root)) == 1
    copy_partitions(store.features, back.features)
    assert back.features.digest() == lake.features.digest() and back.features.verify(deep=True) == []
    back.bars.ingest("gbpusd", tables.bars("2024_07"), tables.SOURCE)  # ids go on after those that came along
    store.bars.ingest("gbpusd", tables.bars("2024_07"), tables.SOURCE)
    lake.manifest.close()
    back.manifest.close()


def test_a_copy_of_something_else_is_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    lake = open_store(tmp_path / "lake")
    lake.put((DATASET, "eurusd", "2024_07"))
    with lake.manifest.transaction() as con:
        con.execute("UPDATE piece SET content_hash = 'ff'")
    with pytest.raises(StoreError, match="the manifest says ff"):
        copy_partitions(lake.features, store.features)
    assert store.features.partitions() == []
    lake.manifest.close()


def test_verify_names_what_somebody_else_did(dsn: str, store: Store) -> None:
    keys = [(DATASET, pair, "2024_07") for pair in ("audusd", "eurusd", "gbpusd", "usdjpy")]
    store.put(*keys, ("base_bqx", "eurusd", "2024_07"))
    leaf = f"bqx.{DATASET}_{{}}_2024_07"
    with psycopg.connect(dsn, autocommit=True) as con:
        con.execute(f"UPDATE {leaf.format('audusd')} SET a = 'NaN' WHERE ts_utc = '2024-07-01 01:00Z'")
        con.execute(f"UPDATE {leaf.format('eurusd')} SET flag = NULL WHERE ts_utc = '2024-07-01 01:00Z'")
        con.execute(f"DELETE FROM {leaf.format('gbpusd')} WHERE ts_utc = '2024-07-01 01:00Z'")
        con.execute(f"TRUNCATE {leaf.format('usdjpy')}")
        con.execute(f"INSERT INTO bqx.{DATASET}_eurusd_2024_08 (ts_utc) VALUES ('2024-08-05 00:00Z')")
    shallow = {p.partition: p.what for p in store.features.verify()}
    assert set(shallow) == {f"{DATASET}_usdjpy_2024_07"} and "empty" in shallow[f"{DATASET}_usdjpy_2024_07"]
    deep = {p.partition: p.what for p in store.features.verify(deep=True)}
    assert "contents" in deep[f"{DATASET}_audusd_2024_07"]
    assert "NULLs where the manifest counts none" in deep[f"{DATASET}_eurusd_2024_07"]
    assert "299 rows, the manifest counts 300" in deep[f"{DATASET}_gbpusd_2024_07"]
    assert "rows that the manifest does not know" in deep[f"{DATASET}_eurusd_2024_08"]
    assert "base_bqx_eurusd_2024_07" not in deep
    with pytest.raises(StoreError, match="299 rows"):
        store.features.read(DATASET, ["gbpusd"]).collect()
    store.put(*keys)  # committing the same again changes nothing, a rebuild heals
    assert len(store.features.verify(deep=True)) == 5
    store.features.commit([tables.stage(store.features, *key, code_version="2") for key in keys])
    store.put((DATASET, "eurusd", "2024_08"))
    assert store.features.verify(deep=True) == []


def test_words_of_the_dialect() -> None:
    assert translate("SELECT '?', a FROM t WHERE b = ?2 AND c LIKE 'x%'") == (
        "SELECT '?', a FROM t WHERE b = %(p2)s AND c LIKE 'x%%'"
    )
    assert translate("INSERT OR REPLACE INTO kv VALUES (?, ?)") == (
        'INSERT INTO kv VALUES (%s, %s) ON CONFLICT ("key") DO UPDATE SET "value" = EXCLUDED."value"'
    )
    assert translate("x :name ::json") == "x %(name)s ::json"
    assert isinstance(Manifest.after_ids.__doc__, str)


def test_without_the_driver_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(Unsupported, match="psycopg") as caught:
        postgres_database.manifest("dbname=fx")
    assert "bqx[postgres]" in str(caught.value.fix)

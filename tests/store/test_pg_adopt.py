"""Tables that were there before: attached when they are what the registry says, else moved aside; never written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest
import store_tables as tables
from migrate_world import MONTHS, PAIRS, Small
from store_engines import Store, open_postgres
from store_tables import DATASET

import postgres_database
from bqx.base.errors import RoleError, TablesError
from bqx.build.server_tables import declared_schema
from bqx.store.content import content_hash
from bqx.store.partition import PartitionKey
from bqx.store.pg.adopt import adopt, release
from bqx.store.pg.encode import encode
from bqx.store.pg.upgrade import Wanted
from postgres_server import WANTED, Server

COLUMNS = {DATASET: (("a", "Float32"), ("b", "Float32"), ("flag", "Int16"))}
LIKE = "(pair text, ts_utc timestamptz, a real, b real, flag smallint)"


@pytest.fixture(params=["dsn"] if "BQX_TEST_DSN" in os.environ else WANTED)
def dsn(request: pytest.FixtureRequest, postgres: Callable[[int], Server]) -> Iterator[str]:
    server = os.environ["BQX_TEST_DSN"] if request.param == "dsn" else postgres(request.param).dsn()
    with postgres_database.database(server) as own:
        postgres_database.prepare(own, Wanted({}))
        yield own


@pytest.fixture
def store(dsn: str, tmp_path: Path) -> Iterator[Store]:
    opened = open_postgres(tmp_path, dsn)
    yield opened
    opened.manifest.close()


def ask(dsn: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as con:
        cursor = con.execute(sql)
        return cursor.fetchall() if cursor.description else []


def load(dsn: str, name: str, table: Any, pair: str = "eurusd", schema: str = "bqx", parent: str = "") -> None:
    """A table of somebody else with the rows of `table`."""
    ask(dsn, f"CREATE TABLE {schema}.{name} {parent or LIKE}")
    ask(dsn, f"ALTER TABLE {schema}.{name} ALTER pair SET DEFAULT '{pair}'")
    names = ", ".join(table.columns)
    copy = f"COPY {schema}.{name} ({names}) FROM STDIN (FORMAT binary)"
    with psycopg.connect(dsn) as con, con.cursor() as cursor, cursor.copy(copy) as stream:
        for block in encode(table):
            stream.write(block)
    ask(dsn, f"ALTER TABLE {schema}.{name} ALTER pair DROP DEFAULT")


def everything(dsn: str, schema: str) -> dict[str, tuple[int, str | None]]:
    """Table -> rows, and their hash as the server sees them."""
    names = [row[0] for row in ask(dsn, f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema}' ORDER BY 1")]
    query = "SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {}.{} t"
    return {name: ask(dsn, query.format(schema, name))[0] for name in names}


def test_what_fits_is_attached_and_the_rest_moves_aside(dsn: str, store: Store) -> None:
    good, other = tables.month("2024_07"), tables.month("2024_08", seed=2)
    ask(dsn, f"CREATE TABLE bqx.{DATASET}_eurusd {LIKE} PARTITION BY RANGE (ts_utc)")  # the old parent
    july, august = f"{DATASET}_eurusd_2024_07", f"{DATASET}_eurusd_2024_08"
    bounds = "FOR VALUES FROM ('2024-07-01Z') TO ('2024-08-01Z')"
    load(dsn, july, good, parent=f"PARTITION OF bqx.{DATASET}_eurusd {bounds}")
    load(dsn, august, other)
    unfit = {
        f"{DATASET}_gbpusd_2024_07": (
            "rows have NaN",
            tables.month("2024_07").with_columns(pl.col("a").fill_null(float("nan"))),
            "gbpusd",
        ),
        f"{DATASET}_gbpusd_2024_08": ("another pair", tables.month("2024_08"), "eurusd"),
        f"{DATASET}_usdjpy_2024_07": ("leave the month", tables.month("2024_08"), "usdjpy"),
    }
    for name, (_, table, pair) in unfit.items():
        load(dsn, name, table, pair)
    ask(dsn, f"CREATE TABLE bqx.{DATASET}_usdjpy_2024_08 (pair text, ts_utc timestamptz, a double precision)")
    ask(dsn, f"CREATE TABLE bqx.{DATASET}_audusd_2024_07 {LIKE}")
    ask(dsn, "CREATE TABLE bqx.notes (text text, id serial); CREATE VIEW bqx.seen AS SELECT 1 AS one")
    before = everything(dsn, "bqx")

    dry = adopt(store.manifest, COLUMNS, dry_run=True)
    assert everything(dsn, "bqx") == before
    done = adopt(store.manifest, COLUMNS)
    assert set(done.attached) == set(dry.attached) == {july, august}
    assert done.aside == dry.aside
    for name, (why, _, _) in unfit.items():
        assert why in done.aside[name]
    assert "lacks 2 columns" in done.aside[f"{DATASET}_usdjpy_2024_08"]
    assert done.aside[f"{DATASET}_audusd_2024_07"] == "it is empty"
    assert {"notes", "seen", f"{DATASET}_eurusd"} < set(done.aside)
    shells = {name for name in done.aside if name.startswith(DATASET) and "2024" in name}
    assert set(done.shells) == shells

    aside = everything(dsn, "bqx_legacy")
    assert {name: rows for name, rows in before.items() if name in aside and name != f"{DATASET}_eurusd"} == {
        name: rows for name, rows in aside.items() if name != f"{DATASET}_eurusd"
    }
    after = everything(dsn, "bqx")
    assert {july: after[july], august: after[august]} == {july: before[july], august: before[august]}
    infos = {info.name: info for info in store.features.partitions()}
    assert {n: i.content_hash for n, i in infos.items()} == {july: content_hash(good), august: content_hash(other)}
    assert store.features.verify(deep=True) == []
    assert store.features.read(DATASET).collect().height == 600
    assert adopt(store.manifest, COLUMNS) == type(done)((), {}, (), False)
    for name in shells:
        store.put((DATASET, *PartitionKey.parse(name).checked().name[len(DATASET) + 1 :].split("_", 1)))


def test_adopted_tables_are_never_written_and_can_be_released(dsn: str, store: Store) -> None:
    key = PartitionKey(DATASET, "eurusd", "2024_07")
    load(dsn, key.name, tables.month("2024_07"))
    adopt(store.manifest, COLUMNS)
    before = everything(dsn, "bqx")[key.name]
    for refused in (lambda: store.put((DATASET, "eurusd", "2024_07"), seed=5), lambda: store.features.drop([key]),
                    lambda: store.features.ready([key])):  # fmt: skip
        with pytest.raises(RoleError, match="adopted"):
            refused()
    assert everything(dsn, "bqx")[key.name] == before
    assert release(store.manifest, [key]) == [key.name]
    assert everything(dsn, "bqx_legacy")[key.name] == before
    assert store.features.partitions() == []
    store.put((DATASET, "eurusd", "2024_07"), seed=5)
    assert store.features.verify(deep=True) == []


def test_tables_of_another_schema_replace_empty_partitions_only(dsn: str, store: Store) -> None:
    postgres_database.prepare(dsn, Wanted(COLUMNS, ("eurusd", "gbpusd"), ("2024_07",)))
    ask(dsn, "CREATE SCHEMA old; CREATE TABLE old.notes (x int)")
    for pair in ("eurusd", "gbpusd"):
        load(dsn, f"{DATASET}_{pair}_2024_07", tables.month("2024_07"), pair, "old")
    store.put((DATASET, "gbpusd", "2024_07"), seed=3)
    mine = everything(dsn, "bqx")[f"{DATASET}_gbpusd_2024_07"]
    with pytest.raises(TablesError, match="a partition of ours has this name, and rows"):
        adopt(store.manifest, COLUMNS, schema="old")
    assert set(everything(dsn, "old")) == {"notes", f"{DATASET}_eurusd_2024_07", f"{DATASET}_gbpusd_2024_07"}
    ask(dsn, f"DROP TABLE old.{DATASET}_gbpusd_2024_07")
    done = adopt(store.manifest, COLUMNS, schema="old")
    assert done.attached == (f"{DATASET}_eurusd_2024_07",) and set(done.aside) == {"notes"}
    assert set(everything(dsn, "old")) == {"notes"}, "what does not fit stays where it is"
    assert everything(dsn, "bqx")[f"{DATASET}_gbpusd_2024_07"] == mine
    assert len(store.features.partitions()) == 2 and store.features.verify(deep=True) == []


def test_after_stage_1_6_9(dsn: str, store: Store) -> None:
    """The seed's tables, renamed by the migration and then adopted: they have other columns than the registry, so they
    move aside with every row, and empty partitions of ours bear their names."""
    world = Small(dsn, schema="bqx").make()
    world.apply(world.plan())
    renamed = everything(dsn, "bqx")
    assert "statistics_rate_eurusd_2024_12" in renamed and sum(rows for rows, _ in renamed.values()) == 2 * 43
    columns = {name: declared_schema(name) for name in ("statistics_rate", "correlation_rate")}
    done = adopt(store.manifest, columns)
    assert done.attached == ()
    leaves = {f"{d}_{p}_{y}_{m:02}" for d in columns for p in PAIRS for y, m in MONTHS}
    assert set(done.shells) == leaves
    assert {name: why for name, why in done.aside.items() if name in leaves and "lacks" not in why} == {}
    assert everything(dsn, "bqx_legacy") == renamed
    assert all(rows == 0 for rows, _ in everything(dsn, "bqx").values())
    store.features.ready([PartitionKey.parse(name) for name in leaves])
    assert store.features.verify(deep=True) == []

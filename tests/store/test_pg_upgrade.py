"""`bqx store upgrade` as a function: what it makes, refuses, grants; and plans that justify the one index."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import store_tables as tables
from store_engines import open_postgres
from store_tables import DATASET

import postgres_database
from bqx.base.errors import RoleError, TablesError, Unsupported
from bqx.store.partition import PartitionKey
from bqx.store.pg.ddl import LEAF_OPTIONS
from bqx.store.pg.measure import footprint
from bqx.store.pg.upgrade import Wanted, upgrade
from bqx.store.schema import STEPS
from postgres_server import WANTED, Server

COLUMNS = (("a", "Float32"), ("b", "Float32"), ("flag", "Int16"))
WANT = Wanted({DATASET: COLUMNS}, ("eurusd", "gbpusd"), ("2024_07", "2024_08"))


@pytest.fixture(scope="module", params=["dsn"] if "BQX_TEST_DSN" in os.environ else WANTED)
def server_dsn(request: pytest.FixtureRequest, postgres: Callable[[int], Server]) -> str:
    return os.environ["BQX_TEST_DSN"] if request.param == "dsn" else postgres(request.param).dsn()


@pytest.fixture
def dsn(server_dsn: str) -> Iterator[str]:
    with postgres_database.database(server_dsn) as own:
        yield own


def ask(dsn: str, sql: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as con:
        cursor = con.execute(sql, values or None)
        return cursor.fetchall() if cursor.description else []


def test_it_makes_what_is_missing_once_and_says_so_before(dsn: str, tmp_path: Path) -> None:
    sessions = postgres_database.sessions(dsn)
    with pytest.raises(TablesError, match="have not been made"):
        open_postgres(tmp_path, dsn)
    dry = upgrade(sessions, postgres_database.LAYOUT, WANT, dry_run=True)
    assert ask(dsn, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'bqx%%'") == [(0,)]
    assert sum("PARTITION OF" in text for text in dry.statements) == 2 + 4
    done = upgrade(sessions, postgres_database.LAYOUT, WANT)
    assert (done.steps, done.relations) == (dry.steps, 1 + 2 + 4)
    assert upgrade(sessions, postgres_database.LAYOUT, WANT).steps == ()
    more = Wanted({DATASET: (*COLUMNS, ("c", "Float64"))}, ("eurusd",), ("2024_09",))
    assert upgrade(sessions, postgres_database.LAYOUT, more).steps == (f"{DATASET}: 1 columns", f"{DATASET} eurusd")
    types = dict(
        ask(
            dsn,
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attnum > 0 AND attrelid = %s"
            "::regclass",
            f"bqx.{DATASET}_eurusd_2024_07",
        )
    )
    assert types == {
        "pair": "text", "ts_utc": "timestamp with time zone", "a": "real", "b": "real", "flag": "smallint",
        "c": "double precision",
    }  # fmt: skip
    options = ask(dsn, "SELECT reloptions FROM pg_class WHERE relname = %s", f"{DATASET}_eurusd_2024_09")[0][0]
    assert set(options) == {f"{name}={value}" for name, value in LEAF_OPTIONS.items()}
    sessions.close()


def test_it_refuses_what_it_did_not_make(dsn: str, tmp_path: Path) -> None:
    sessions = postgres_database.sessions(dsn)
    ask(dsn, f"CREATE SCHEMA bqx; CREATE TABLE bqx.{DATASET}_eurusd_2024_07 (x int)")
    with pytest.raises(TablesError, match=f"1 tables that bqx did not make .* {DATASET}_eurusd_2024_07") as caught:
        upgrade(sessions, postgres_database.LAYOUT, WANT)
    assert "adopt" in str(caught.value.fix)
    ask(dsn, f"DROP TABLE bqx.{DATASET}_eurusd_2024_07")
    upgrade(sessions, postgres_database.LAYOUT, WANT)
    with pytest.raises(TablesError, match="column a of returns_raw_rate is real, not double precision"):
        upgrade(sessions, postgres_database.LAYOUT, Wanted({DATASET: (("a", "Float64"),)}))
    with pytest.raises(Unsupported, match="column a is String"):
        upgrade(sessions, postgres_database.LAYOUT, Wanted({"base_bqx": (("a", "String"),)}))
    ask(dsn, "INSERT INTO bqx_manifest.format VALUES (99)")
    with pytest.raises(Unsupported, match="format 99"):
        open_postgres(tmp_path, dsn)
    sessions.close()


def test_roles_may_do_their_work_and_nothing_else(dsn: str, tmp_path: Path) -> None:
    """Owner, writer and reader, none of them a superuser; adopted or not, nobody but the owner makes tables."""
    name = psycopg.conninfo.conninfo_to_dict(dsn)["dbname"]
    roles = {who: f"{name}_{who}" for who in ("owner", "writer", "reader")}
    ask(dsn, ";".join(f"CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE" for role in roles.values()))
    ask(dsn, f"GRANT CREATE ON DATABASE {name} TO {roles['owner']}")
    logins = {who: psycopg.conninfo.make_conninfo(dsn, user=role) for who, role in roles.items()}
    try:
        sessions = postgres_database.sessions(logins["owner"])
        want = Wanted(WANT.columns, WANT.pairs, WANT.months, roles["reader"], roles["writer"])
        upgrade(sessions, postgres_database.LAYOUT, want)
        writer = open_postgres(tmp_path, logins["writer"])
        for seed in (1, 2):
            writer.put((DATASET, "eurusd", "2024_07"), (DATASET, "gbpusd", "2024_07"), seed=seed)
        writer.bars.ingest("eurusd", tables.bars("2024_07"), tables.SOURCE)
        writer.features.drop([PartitionKey(DATASET, "gbpusd", "2024_07")])
        assert writer.features.verify(deep=True) == []
        leaf = f"{DATASET}_eurusd_2024_07"
        assert ask(dsn, "SELECT reltuples FROM pg_class WHERE relname = %s", leaf) == [(300,)], "analyzed"
        for statement in (
            f"ALTER TABLE bqx.{leaf} ADD COLUMN x int",
            f"TRUNCATE bqx.{leaf}",
            "CREATE TABLE bqx.x ()",
            "DELETE FROM bqx_manifest.format",
            "UPDATE bqx_manifest.relation SET pair = ''",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                ask(logins["writer"], statement)
        with pytest.raises(RoleError, match="refuses"):
            writer.features.rename({DATASET: "base_bqx"})
        reader = open_postgres(tmp_path, logins["reader"])
        assert reader.features.read(DATASET).collect().height == 300
        with pytest.raises(RoleError, match="may not write feature tables"):
            reader.features.ready([PartitionKey(DATASET, "eurusd", "2024_07")])
        with pytest.raises(RoleError):
            reader.put((DATASET, "eurusd", "2024_08"))
        upgrade(sessions, postgres_database.LAYOUT, Wanted(WANT.columns, ("usdjpy",), ("2024_07",)))
        writer.put((DATASET, "usdjpy", "2024_07"))  # rights reach what is made later
        assert reader.features.read(DATASET).collect()["pair"].n_unique() == 2
        for opened in (writer, reader):
            opened.manifest.close()
        sessions.close()
    finally:
        ask(dsn, ";".join(f"DROP OWNED BY {role}; DROP ROLE {role}" for role in roles.values()))


def test_the_only_index_is_the_key_and_plans_use_it_where_it_pays(dsn: str, tmp_path: Path) -> None:
    postgres_database.prepare(dsn, WANT)
    store = open_postgres(tmp_path, dsn)
    for ym in ("2024_07", "2024_08"):
        store.put((DATASET, "eurusd", ym), (DATASET, "gbpusd", ym), rows=20_000)
    found = ask(dsn, "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'bqx'")
    assert len(found) == 1 + 2 + 4 and all("(pair, ts_utc)" in text for _, text in found)

    def plan(where: str) -> list[tuple[str, str]]:
        out: list[tuple[str, str]] = []

        def walk(node: dict[str, Any]) -> None:
            if "Relation Name" in node:
                out.append((node["Node Type"], node["Relation Name"]))
            for part in node.get("Plans", ()):
                walk(part)

        [(text,)] = ask(dsn, f"EXPLAIN (FORMAT JSON) SELECT * FROM bqx.{DATASET} WHERE {where}")
        walk((json.loads(text) if isinstance(text, str) else text)[0]["Plan"])
        return out

    leaf = f"{DATASET}_eurusd_2024_07"
    minute = plan("pair = 'eurusd' AND ts_utc = '2024-07-03 10:00Z'")
    assert minute == [("Index Scan", leaf)], "a minute is found by the key"
    hour = plan("pair = 'eurusd' AND ts_utc >= '2024-07-03 10:00Z' AND ts_utc < '2024-07-03 11:00Z'")
    assert [table for _, table in hour] == [leaf] and "Seq Scan" not in hour[0][0]
    month = plan("pair = 'eurusd' AND ts_utc >= '2024-07-01Z' AND ts_utc < '2024-08-01Z'")
    assert month == [("Seq Scan", leaf)], "a month is one table read through"
    assert plan("pair = 'eurusd' AND a > 3") == [("Seq Scan", leaf), ("Seq Scan", leaf.replace("07", "08"))]
    print(footprint(store.manifest.sessions, store.manifest.layout, PartitionKey(DATASET, "eurusd", "2024_07")))
    assert (
        footprint(store.manifest.sessions, store.manifest.layout, PartitionKey(DATASET, "eurusd", "2024_07")).leaves
        == 1
    )
    store.manifest.close()


def test_an_older_manifest_is_brought_up_to_date_with_its_rows(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = postgres_database.sessions(dsn)
    with monkeypatch.context() as older:
        for module in ("upgrade", "manifest"):
            older.setattr(f"bqx.store.pg.{module}.STEPS", STEPS[:1])
        upgrade(sessions, postgres_database.LAYOUT, WANT)
        store = open_postgres(tmp_path, dsn)
        store.put((DATASET, "eurusd", "2024_07"))
        before = store.features.partitions()
        store.manifest.close()
    with pytest.raises(TablesError, match=f"are of format 1, this bqx needs {len(STEPS)}"):
        open_postgres(tmp_path, dsn)
    assert upgrade(sessions, postgres_database.LAYOUT, WANT).steps == (f"manifest 1 -> {len(STEPS)}",)
    store = open_postgres(tmp_path, dsn)
    assert (store.manifest.format(), store.features.partitions()) == (len(STEPS), before)
    assert ask(dsn, "SELECT count(*) FROM bqx_manifest.fit") == [(0,)]
    store.manifest.close()
    sessions.close()

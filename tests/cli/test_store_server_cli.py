"""`bqx store upgrade`, `copy`, `adopt` and `bqx query` on a project in PostgreSQL, as a user meets them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

import postgres_database
from bqx.build.project import Project
from bqx.build.server_tables import declared_schema
from bqx.cli.main import main
from bqx.store.content import content_hash
from bqx.store.partition import PartitionKey
from postgres_server import WANTED, Server

DATASET = "returns_raw_rate"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(project: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """run("store", "gc") -> exit code, stdout, stderr."""
    return lambda *words: call(project, capsys, *words)


def call(root: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    try:
        main(["-C", str(root), *words])
        code = 0
    except SystemExit as done:
        code = int(done.code or 0)
    return code, *capsys.readouterr()


@pytest.fixture
def dsn(postgres: Callable[[int], Server]) -> Iterator[str]:
    with postgres_database.database(os.environ.get("BQX_TEST_DSN") or postgres(WANTED[0]).dsn()) as own:
        yield own


@pytest.fixture
def project(tmp_path: Path, dsn: str) -> Path:
    """A lake with bars and a built dataset, whose settings are then turned to the server."""
    root = tmp_path / "p"
    Project.create(root, pairs=("eurusd", "gbpusd")).close()
    for words in (
        ["bars", "simulate", "--from", "2024-07-01", "--to", "2024-07-04", "--origin", "2024-07-01"],
        ["build", "run", "--datasets", DATASET],
    ):
        main(["-C", str(root), *words])
    secrets = tmp_path / "secrets"
    secrets.mkdir(mode=0o700)
    (secrets / "fx-db").write_text(dsn)
    (secrets / "fx-db").chmod(0o600)
    text = (root / "bqx.toml").read_text()
    text = text.replace('kind = "lake"', 'kind = "postgres"\nserver = "fx-db"', 1)
    (root / "bqx.toml").write_text(text.replace('provider = "none"', f'provider = "file"\npath = "{secrets}"', 1))
    return root


def test_from_a_lake_to_the_server_and_on(project: Path, run: Run, dsn: str) -> None:
    code, _, err = run("status")
    assert code == 6 and "BQX412" in err and "bqx store upgrade" in err
    months = ("--dataset", DATASET, "--from", "2024_07", "--to", "2024_08")
    code, out, _ = run("store", "upgrade", *months, "--dry-run")
    assert code == 0 and 'CREATE TABLE "bqx"."returns_raw_rate_eurusd_2024_08"' in out
    code, out, _ = run("store", "upgrade", *months)
    assert code == 0 and "made 7 tables" in out and "planning one pair's month" in out

    code, out, _ = run("store", "copy", "--dry-run")
    assert code == 0 and "would copy 2 partitions, 8640 rows, bars of 2 months" in out
    code, out, _ = run("store", "copy")
    assert code == 0 and "copied 2 partitions" in out and "content hashes equal" in out
    code, out, _ = run("store", "copy", "--json")
    assert (json.loads(out)["copied"], len(json.loads(out)["same"])) == ([], 2)
    code, out, _ = run("build", "verify", "--deep", "--datasets", DATASET)
    assert code == 0 and "0 problems" in out
    code, out, _ = run("build", "run", "--datasets", DATASET)
    assert code == 0 and "2 partitions were fresh" in out

    lake = sorted(path.name for path in (project / "lake").rglob("*.parquet"))
    run("store", "gc")
    assert sorted(path.name for path in (project / "lake").rglob("*.parquet")) == lake, "the lake is not its to collect"

    code, out, _ = run("query", f"SELECT pair, count(*) AS n FROM {DATASET} GROUP BY pair ORDER BY pair", "--json")
    assert code == 0 and json.loads(out) == [{"pair": "eurusd", "n": 4320}, {"pair": "gbpusd", "n": 4320}]
    code, out, _ = run("query", "SELECT count(*) AS n FROM bars", "--json")
    assert code == 0 and json.loads(out)[0]["n"] > 8000
    for sql in (
        f"DELETE FROM {DATASET}",
        f"SELECT 1 FROM {DATASET}; SELECT 2",
        f"SELECT nope FROM {DATASET}",
        f"WITH d AS (DELETE FROM {DATASET} RETURNING 1) SELECT * FROM d",
        f"COPY {DATASET} TO PROGRAM 'id'",
    ):
        code, _, err = run("query", sql)
        assert code == 2, (sql, err)
    code, _, err = run("query", f"SELECT * FROM bars JOIN {DATASET} USING (pair)")
    assert code == 11 and "ask them apart" in err
    code, out, _ = run("store", "drop", "--partition", f"{DATASET}_eurusd_2024_07", "--yes")
    assert code == 0 and "dropped 1 partitions" in out
    with psycopg.connect(dsn) as con:
        assert con.execute(f"SELECT count(*) FROM bqx.{DATASET}").fetchone() == (4320,)


def test_adopt(project: Path, run: Run, dsn: str) -> None:
    run("store", "upgrade", "--dataset", DATASET, "--from", "2024_07", "--to", "2024_07")
    run("store", "copy")
    opened = Project.open(project)
    [info] = opened.store.partitions(pair="gbpusd")
    rows = opened.store.read(DATASET, ["gbpusd"]).drop("pair").collect()
    assert content_hash(rows) == info.content_hash
    opened.close()
    key = PartitionKey(DATASET, "gbpusd", "2024_07")
    kinds = {"Float32": "real", "Int32": "integer", "Int16": "smallint", "Float64": "double precision"}
    columns = ", ".join(f'"{name}" {kinds[dtype]}' for name, dtype in declared_schema(DATASET))
    with psycopg.connect(dsn, autocommit=True) as con:
        con.execute(f"CREATE SCHEMA old; CREATE TABLE old.{key.name} (pair text, ts_utc timestamptz, {columns})")
        con.execute(f"INSERT INTO old.{key.name} SELECT * FROM bqx.{key.name}")
        con.execute("CREATE TABLE bqx.scratch (x int)")
    run("store", "drop", "--partition", key.name, "--yes")
    code, out, _ = run("store", "adopt", "--schema", "old", "--dry-run")
    assert code == 0 and "attached 1, left alone 0" in out
    code, out, _ = run("store", "adopt", "--schema", "old", "--json")
    assert code == 0 and json.loads(out)["attached"] == [key.name]
    code, out, _ = run("store", "adopt")
    assert code == 0 and "moved aside 1" in out and "scratch: its name is not that of a partition" in out
    opened = Project.open(project)
    assert [i.content_hash for i in opened.store.partitions(pair="gbpusd")] == [info.content_hash]
    opened.close()
    code, _, err = run("build", "run", "--datasets", DATASET)
    assert code == 6 and "BQX411" in err and "--release" in err
    code, out, _ = run("store", "adopt", "--release", key.name)
    assert code == 0 and "released 1 partitions" in out
    code, out, _ = run("build", "run", "--datasets", DATASET)
    assert code == 0 and "1 partitions were fresh" in out


def test_a_lake_has_no_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Project.create(tmp_path / "lake").close()
    code, _, err = call(tmp_path / "lake", capsys, "store", "upgrade")
    assert code == 11 and "docs/postgres.md" in err

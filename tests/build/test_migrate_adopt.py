"""1.6.9, then `bqx store adopt`, then the correlation and inherited families, all on one server: nothing collides,
nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import psycopg
import pytest
from small_project import PAIRS, fill

import postgres_database
from bqx.build.choice import Choice
from bqx.build.project import Project
from bqx.build.run import build
from bqx.build.verify import verify as verify_build
from bqx.cli.main import main
from bqx.store.migrate.apply import apply
from bqx.store.migrate.connect import connect
from bqx.store.migrate.fixture import World
from bqx.store.migrate.fixture import build as make_world
from bqx.store.migrate.live import plan_live
from bqx.store.migrate.spec import parse_spec
from postgres_server import Server

MONTHS = ((2024, 6), (2024, 7))
ROWS = {"statistics": 601, "bollinger": 602, "fibonacci": 603, "correlation": 0}
FAMILIES = ("statistics_rate", "bollinger_rate", "fibonacci_rate", "volume_rate", "correlation_rate")
"""The four renamed families, of which three are inherited, and the fourth inherited one."""
SPEC = """
migration: "1.6.9"
places: {family: [statistics, bollinger, fibonacci, correlation]}
rules:
  - {from: "{family}_features_{pair}[_{month}]", to: "{family}_rate_{pair}[_{month}]"}
expect: {each: {tables: 9, parents: 3, partitions: 6}, total: 36, empty: [correlation]}
"""


@pytest.fixture
def dsn(postgres: Callable[[int], Server]) -> Iterator[str]:
    with postgres_database.database(postgres(15).dsn()) as made:
        yield made


@pytest.fixture
def root(tmp_path: Path, dsn: str) -> Path:
    """A project whose store is the migrated server."""
    made = tmp_path / "p"
    Project.create(made, pairs=PAIRS).close()
    (tmp_path / "secrets").mkdir(mode=0o700)
    secret = tmp_path / "secrets" / "fx-db"
    secret.write_text(dsn)
    secret.chmod(0o600)
    text = (made / "bqx.toml").read_text()
    text = text.replace('kind = "lake"', 'kind = "postgres"\nserver = "fx-db"', 1)
    text = text.replace('provider = "none"', f'provider = "file"\npath = "{tmp_path / "secrets"}"', 1)
    (made / "bqx.toml").write_text(text)
    (made / "manifest.sqlite").unlink()
    return made


def sums(dsn: str, schema: str) -> dict[str, tuple[int, float]]:
    """Rows and the sum of a column of every plain table with rows, by OID: whatever it is called now."""
    with psycopg.connect(dsn) as con:
        tables = con.execute(
            "SELECT c.oid, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = %s AND c.relkind = 'r' AND pg_relation_size(c.oid) > 0",
            (schema,),
        ).fetchall()
        found = {}
        for oid, name in tables:
            row = con.execute(f'SELECT count(*), sum(f0)::float8 FROM {schema}."{name}"'.encode()).fetchone()
            assert row is not None
            found[str(oid)] = (row[0], row[1])
        return found


def run(root: Path, capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, object]:
    capsys.readouterr()
    main(["-C", str(root), *args, "--json"])
    data: dict[str, object] = json.loads(capsys.readouterr().out)
    return data


def test_one_server(root: Path, dsn: str, bars: dict[str, pl.DataFrame], capsys: pytest.CaptureFixture[str]) -> None:
    make_world(dsn, World(pairs=PAIRS, months=MONTHS, share=1.0, rows=ROWS), jobs=1)
    before = sums(dsn, "bqx")
    assert sum(n for n, _ in before.values()) == sum(ROWS.values())
    with connect(dsn) as con:
        plan = plan_live(con, parse_spec(SPEC))
    done = apply(dsn, plan)
    assert done.applied and done.verified is not None and done.verified.passed
    assert sums(dsn, "bqx") == before

    run(root, capsys, "store", "upgrade", "--dataset", "volume_rate")  # the manifest; a dataset nobody is in the way of
    adopted = run(root, capsys, "store", "adopt")
    assert adopted["attached"] == [], "one float column is not what the registry declares"
    assert sums(dsn, "bqx_legacy") == before, "moved aside with every row"
    choice = [word for name in FAMILIES for word in ("--dataset", name)]
    run(root, capsys, "store", "upgrade", *choice, "--from", "2024_06", "--to", "2024_07")

    project = fill(Project.open(root), bars)
    report = build(project, Choice(datasets=FAMILIES), threads=2)
    assert report.failures == [] and report.partitions == len(FAMILIES) * len(PAIRS) * 2
    checked = verify_build(project, Choice(datasets=FAMILIES), deep=True)
    assert checked.problems == [] and checked.partitions == report.partitions
    names = {info.name for info in project.store.partitions()}
    assert "correlation_rate_eurusd_2024_07" in names and "statistics_rate_usdjpy_2024_06" in names
    assert project.store.read("statistics_rate").collect().height > 1000
    project.close()
    assert sums(dsn, "bqx_legacy") == before
    with psycopg.connect(dsn) as con:
        keys = con.execute(
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('i', 'I') AND c.relname LIKE '%pkey_' AND n.nspname LIKE 'bqx%'"
        ).fetchall()
    assert keys == [], "no key had to make way for an old one's name"

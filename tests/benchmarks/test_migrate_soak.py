"""The small sibling of `make soak CHECK=migrate-stage`: one pair, 1 % of the rows, and a row that goes missing."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from postgres_server import Server

soak: Any = importlib.import_module("benchmarks.soak.migrate")
World: Any = importlib.import_module("bqx.store.migrate.fixture").World
SMALL = World(pairs=("eurusd",), share=0.01)


@pytest.fixture
def dsn(postgres: Callable[[int], Server]) -> Any:
    server = postgres(15)
    with psycopg.connect(server.dsn(), autocommit=True) as con:
        con.execute("CREATE DATABASE migrate_soak")
    yield server.dsn("migrate_soak")
    with psycopg.connect(server.dsn(), autocommit=True) as con:
        con.execute("DROP DATABASE migrate_soak WITH (FORCE)")


def test_one_pair(dsn: str) -> None:
    found = soak.trial(dsn, SMALL, soak.spec_for(SMALL))
    assert found["ok"], found
    assert found["rows"] == 308_671 and found["tables"] == 52


def test_a_row_that_goes_missing_is_seen(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: a row is deleted between the renames and the second count."""
    honest = soak.apply

    def lossy(dsn: str, plan: Any, *options: Any) -> Any:
        done = honest(dsn, plan, *options)
        if not done.applied:
            return done
        with psycopg.connect(dsn) as con:
            con.execute("DELETE FROM bqx.statistics_rate_eurusd WHERE ts_utc = '2024-07-01'")
        return done

    monkeypatch.setattr(soak, "apply", lossy)
    found = soak.trial(dsn, SMALL, soak.spec_for(SMALL))
    assert not found["ok"]
    assert found["rows_before"]["statistics"] == found["rows_after"]["statistics"] + 1

"""A real project folder with a real manifest, and tables that look like features."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from store_engines import ENGINES, TABLES, Store, open_postgres, open_store

import postgres_database
from postgres_server import Server


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path)
    yield opened
    opened.manifest.close()


@pytest.fixture(params=ENGINES)
def any_store(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    postgres: Callable[[int], Server],
    postgres_prepared: postgres_database.Prepared,
) -> Iterator[Store]:
    """A project folder on each engine; asking for it is what makes a test part of the contract suite."""
    if request.param == "lake":
        opened = open_store(tmp_path)
        yield opened
        opened.manifest.close()
        return
    dsn = os.environ.get("BQX_TEST_DSN") or postgres(int(request.param.partition("-")[2])).dsn()
    opened = open_postgres(tmp_path, postgres_prepared.of(dsn, "toy", TABLES))
    yield opened
    opened.manifest.close()


@pytest.fixture
def known() -> Callable[[Store], int]:
    """The last known-at time of a store."""

    def last(store: Store) -> int:
        with store.manifest.connection() as con:
            return int(con.execute("SELECT max(known_at) FROM change").fetchone()[0])

    return last

"""A real project folder with a real manifest, and tables that look like features."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import store_tables as tables

import postgres_database
from bqx.store.bars import BarStore
from bqx.store.contract import FeatureStore
from bqx.store.lake import Lake
from bqx.store.manifest import Manifest
from bqx.store.pg.store import PostgresStore
from bqx.store.pg.upgrade import Wanted
from postgres_server import WANTED, Server

ENGINES = ("lake", *(["postgres"] if "BQX_TEST_DSN" in os.environ else [f"postgres-{v}" for v in WANTED]))
"""What the contract suite runs on."""
_COLUMNS = (("a", "Float32"), ("b", "Float32"), ("flag", "Int16"), ("c", "Float32"))
TABLES = Wanted(
    dict.fromkeys(("returns_raw_rate", "base_bqx", "returns_raw_bqx"), _COLUMNS),
    ("audusd", "eurusd", "gbpusd", "usdjpy"),
    tuple(f"2024_{month:02}" for month in range(1, 10)),
)
"""The toy tables of `store_tables`, as PostgreSQL must have them before."""


@dataclass
class Store:
    root: Path
    manifest: Manifest
    features: FeatureStore
    bars: BarStore

    @property
    def keeps_history(self) -> bool:
        """Whether the past can be read."""
        return isinstance(self.features, Lake)

    @property
    def lake(self) -> Lake:
        """Its store where that is files."""
        assert isinstance(self.features, Lake)
        return self.features

    def put(self, *keys: tuple[str, str, str], seed: int = 0, **options: object) -> None:
        """Stage and commit a month for each (dataset, pair, ym)."""
        self.features.commit([tables.stage(self.features, *key, seed=seed, **options) for key in keys])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path)
    yield opened
    opened.manifest.close()


def open_store(root: Path) -> Store:
    manifest = Manifest(root / "manifest.sqlite")
    return Store(root, manifest, Lake(root, manifest), BarStore(root, manifest))


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


def open_postgres(root: Path, dsn: str, wait: float = 20.0) -> Store:
    manifest = postgres_database.manifest(dsn, wait)
    return Store(root, manifest, PostgresStore(root, manifest), BarStore(root, manifest))


@pytest.fixture
def known() -> Callable[[Store], int]:
    """The last known-at time of a store."""

    def last(store: Store) -> int:
        with store.manifest.connection() as con:
            return int(con.execute("SELECT max(known_at) FROM change").fetchone()[0])

    return last

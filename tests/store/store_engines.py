"""A project folder with its store, on disk or on a server, for the tests of stores."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import store_tables as tables

import postgres_database
from bqx.store.bars import BarStore
from bqx.store.contract import FeatureStore
from bqx.store.lake import Lake
from bqx.store.manifest import Manifest
from bqx.store.pg.store import PostgresStore
from bqx.store.pg.upgrade import Wanted
from postgres_server import WANTED

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


def open_store(root: Path) -> Store:
    manifest = Manifest(root / "manifest.sqlite")
    return Store(root, manifest, Lake(root, manifest), BarStore(root, manifest))


def open_postgres(root: Path, dsn: str, wait: float = 20.0) -> Store:
    manifest = postgres_database.manifest(dsn, wait)
    return Store(root, manifest, PostgresStore(root, manifest), BarStore(root, manifest))

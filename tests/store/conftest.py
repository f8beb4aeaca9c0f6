"""A real project folder with a real manifest, and tables that look like features."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import store_tables as tables

from bqx.store.bars import BarStore
from bqx.store.lake import Lake
from bqx.store.manifest import Manifest


@dataclass
class Store:
    root: Path
    manifest: Manifest
    lake: Lake
    bars: BarStore

    def put(self, *keys: tuple[str, str, str], seed: int = 0, **options: object) -> None:
        """Stage and commit a month for each (dataset, pair, ym)."""
        self.lake.commit([tables.stage(self.lake, *key, seed=seed, **options) for key in keys])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path)
    yield opened
    opened.manifest.close()


def open_store(root: Path) -> Store:
    manifest = Manifest(root / "manifest.sqlite")
    return Store(root, manifest, Lake(root, manifest), BarStore(root, manifest))


@pytest.fixture
def known() -> Callable[[Store], int]:
    """The last known-at time of a store."""

    def last(store: Store) -> int:
        with store.manifest.connection() as con:
            return int(con.execute("SELECT max(known_at) FROM change").fetchone()[0])

    return last

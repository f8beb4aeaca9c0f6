"""A project whose store is in PostgreSQL: the same build, the same contents, the same checks as on the lake."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
from small_project import PAIRS, fill

import postgres_database
from bqx.build.choice import Choice
from bqx.build.project import Project
from bqx.build.run import build
from bqx.build.server_tables import wanted_tables
from bqx.build.verify import verify
from postgres_server import WANTED, Server

DATASETS = ("returns_raw_rate", "returns_raw_bqx", "base_bqx", "ohlc_rate", "time_dual")
"""float4, float8 and integer columns; a dual dataset; the smallest that have them."""


@pytest.fixture(scope="module", params=["postgres"] if "BQX_TEST_DSN" in os.environ else WANTED)
def dsn(
    request: pytest.FixtureRequest,
    postgres: Callable[[int], Server],
    postgres_prepared: postgres_database.Prepared,
) -> str:
    server = os.environ.get("BQX_TEST_DSN") or postgres(request.param).dsn()
    tables = wanted_tables(PAIRS, (), only=DATASETS, first="2024_06", last="2024_07")
    return postgres_prepared.of(server, "build", tables)


def make_project(root: Path, dsn: str) -> None:
    """A project folder whose settings name the secret that holds `dsn`."""
    Project.create(root, pairs=PAIRS).close()
    secrets = root.with_name(f"{root.name}-secrets")
    secrets.mkdir(mode=0o700)
    secret = secrets / "fx-db"
    secret.write_text(dsn)
    secret.chmod(0o600)
    text = (root / "bqx.toml").read_text()
    text = text.replace('kind = "lake"', 'kind = "postgres"\nserver = "fx-db"', 1)
    text = text.replace('provider = "none"', f'provider = "file"\npath = "{secrets}"', 1)
    (root / "bqx.toml").write_text(text)
    (root / "manifest.sqlite").unlink()


@pytest.fixture
def project(tmp_path: Path, dsn: str, bars: dict[str, pl.DataFrame]) -> Iterator[Project]:
    postgres_database.empty(dsn)
    make_project(tmp_path / "p", dsn)
    opened = fill(Project.open(tmp_path / "p"), bars)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, unbuilt: Path) -> Iterator[Project]:
    root = tmp_path_factory.mktemp("lake") / "p"
    shutil.copytree(unbuilt, root)
    opened = Project.open(root)
    build(opened, Choice(datasets=DATASETS), threads=2)
    yield opened
    opened.close()


def test_a_build_gives_the_contents_of_the_lake(project: Project, lake: Project) -> None:
    report = build(project, Choice(datasets=DATASETS), threads=2)
    assert report.partitions == len(DATASETS) * len(PAIRS) * 2
    assert project.store.digest() == lake.store.digest()
    for dataset in DATASETS:
        assert project.store.read(dataset).collect().equals(lake.store.read(dataset).collect())
    assert project.frame("eurusd").equals(lake.frame("eurusd"))
    result = verify(project, Choice(datasets=DATASETS), deep=True, recompute=2, seed=1)
    assert (result.problems, result.partitions, result.recomputed) == ([], 30, 2)
    assert result.non_null > 500
    again = build(project, Choice(datasets=DATASETS), threads=2)
    assert (again.built, again.fresh) == (0, 30)
    assert not list((project.root / "spool").iterdir())

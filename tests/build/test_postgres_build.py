"""A project whose store is in PostgreSQL: the same build, the same contents, the same checks as on the lake."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import psycopg
import pytest
from small_project import PAIRS, fill

import postgres_database
from bqx.base.errors import ConfigError, LeaseError, TablesError, Unsupported
from bqx.build.choice import Choice
from bqx.build.lease import Lease
from bqx.build.project import Project
from bqx.build.run import build
from bqx.build.server_tables import wanted_tables
from bqx.build.verify import verify
from postgres_server import WANTED, Server

DATASETS = ("returns_raw_rate", "ohlc_rate", "time_dual")
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
    assert (result.problems, result.partitions, result.recomputed) == ([], 18, 2)
    assert result.non_null > 500
    again = build(project, Choice(datasets=DATASETS), threads=2)
    assert (again.built, again.fresh) == (0, 18)
    assert not list((project.root / "spool").iterdir())


def test_the_server_dies_in_mid_build_and_the_build_goes_on(
    tmp_path: Path, lake: Project, bars: dict[str, pl.DataFrame], monkeypatch: pytest.MonkeyPatch, dsn: str
) -> None:
    """Killed without goodbye with rows on their way; it recovers, the build waits and ends as if nothing had been."""
    if "BQX_TEST_DSN" in os.environ:
        pytest.skip("a server that is not ours is not killed")
    major = 15 if "port" in dsn and _version(dsn) < 160000 else WANTED[-1]
    server = Server(major, {"synchronous_commit": "on", "full_page_writes": "on"})
    back = threading.Thread(target=server.start)
    hits: list[str] = []

    def crash(name: str) -> None:
        hits.append(name)
        if hits.count("after-rows") == 3 and name == "after-rows":
            server.stop("immediate")
            back.start()

    try:
        server.start()
        tables = wanted_tables(PAIRS, (), only=DATASETS, first="2024_06", last="2024_07")
        postgres_database.prepare(server.dsn(), tables)
        make_project(tmp_path / "p", server.dsn())
        project = fill(Project.open(tmp_path / "p"), bars)
        monkeypatch.setattr("bqx.store.pg.commit.fault", crash)
        report = build(project, Choice(datasets=DATASETS), threads=2)
        assert back.ident is not None and "was not properly shut down" in server.log()
        assert (report.built, report.failures) == (6, [])
        assert project.store.digest() == lake.store.digest()
        assert project.store.verify(deep=True) == []
        project.close()
    finally:
        if back.ident is not None:
            back.join()
        server.remove()


def _version(dsn: str) -> int:
    with psycopg.connect(dsn) as con:
        return con.info.server_version


def test_what_cannot_be_done_says_what_to_do(project: Project) -> None:
    with pytest.raises(TablesError, match="6 partitions have no table, first regime_vol_rate_eurusd_2024_06") as caught:
        build(project, Choice(datasets=("regime_vol_rate",)))
    assert "bqx store upgrade" in str(caught.value)
    with pytest.raises(Unsupported, match="current generation only"):
        Project.open(project.root, as_of="2024-08-01T00:00:00Z").store.partitions(as_of=1)


def test_a_lease_keeps_a_second_host_out(project: Project) -> None:
    """The lease is a row on the server, so that it holds for every host that has the project's settings."""
    other = Project.open(project.root)
    with Lease(project.manifest, "run-1") as lease:
        lease.check()
        with pytest.raises(LeaseError, match="run-1"), Lease(other.manifest, "run-2"):
            pass
    with Lease(other.manifest, "run-2"):
        pass
    other.close()


@pytest.mark.parametrize("key", ["host=db.example dbname=fx", "".join(("postgresql://u", ":pw", "@db.example/fx"))])
def test_settings_take_no_dsn(tmp_path: Path, key: str) -> None:
    Project.create(tmp_path / "p").close()
    path = tmp_path / "p" / "bqx.toml"
    text = path.read_text()
    path.write_text(text.replace('kind = "lake"', f'kind = "postgres"\nserver = "{key}"', 1))
    with pytest.raises(ConfigError, match="name of a secret") as caught:
        Project.open(tmp_path / "p")
    assert "pw" not in str(caught.value).replace("postgresql", "")
    path.write_text(text.replace('kind = "lake"', 'kind = "postgres"', 1))
    with pytest.raises(ConfigError, match=r"store\.server is not set"):
        Project.open(tmp_path / "p")

"""Two hosts that share only PostgreSQL and S3 give the bytes of one thread, whatever the network and storage do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import xxhash
from small_project import PAIRS, REMOTE, Killer, contents, fill

import postgres_database
from bqx.base.config import load_config
from bqx.base.errors import ConfigError
from bqx.build.choice import Choice
from bqx.build.project import Project
from bqx.build.run import build
from bqx.build.server_tables import wanted_tables
from bqx.build.verify import verify
from bqx.store.s3.files import S3Files
from hosts import TwoHosts, project_folder, why_no_namespaces
from postgres_server import WANTED, Server
from s3_server import Proxy, S3Server

pytestmark = pytest.mark.usefixtures("few_datasets")
Copy = Callable[[Path], Project]
WHOLE = Choice(datasets=REMOTE)


@pytest.fixture(scope="module")
def dsn(postgres: Callable[[int], Server], postgres_prepared: postgres_database.Prepared) -> str:
    server = os.environ.get("BQX_TEST_DSN") or postgres(WANTED[-1]).dsn()
    return postgres_prepared.of(server, "hosts", wanted_tables(PAIRS, (), only=(), first="2024_06", last="2024_06"))


@pytest.fixture(scope="module")
def expected(built: Path) -> dict[str, str]:
    project = Project.open(built)
    found = contents(project, REMOTE)
    project.close()
    return found


@pytest.fixture
def hosts(tmp_path: Path, dsn: str) -> Iterator[TwoHosts]:
    """In network namespaces where this machine lets us."""
    if "BQX_TEST_DSN" in os.environ:
        pytest.skip("needs a server that is ours")
    postgres_database.empty(dsn)
    with ExitStack() as stack:
        yield TwoHosts(tmp_path, dsn, stack, PAIRS, apart=not why_no_namespaces())


def whole(files: S3Files) -> None:
    """Every object is complete: its bytes are those its description was written with."""
    keys = [key for key, _, _ in files.client.listed("")]
    assert keys
    for key in keys:
        head = files.client.head(key)
        assert head is not None
        assert xxhash.xxh3_128(files.client.read(key) or b"").hexdigest() == head.digest


def test_two_hosts_give_the_bytes_of_one_thread(
    hosts: TwoHosts, bars: dict[str, pl.DataFrame], expected: dict[str, str]
) -> None:
    """Where hosts are namespaces, one is cut off in mid-build: no packet comes or goes, and nobody says goodbye."""
    project = fill(Project.open(hosts.root), bars)
    watch = Killer({4: lambda: None if why_no_namespaces() else hosts.cut(0)})
    report = build(project, WHOLE, engine=hosts.cluster.engine, progress=lambda _: watch)
    assert (report.failures, report.threads, watch.seen) == ([], 2, 2 * len(REMOTE))
    assert contents(project) == expected
    for root in (hosts.root, *hosts.roots):
        assert not list((root / "lake").rglob("*.parquet")) and not list((root / "bars").rglob("*.parquet"))
    result = verify(project, WHOLE, deep=True, recompute=1, seed=1)
    assert (result.problems, result.recomputed) == ([], 1)
    assert isinstance(project.files, S3Files)
    whole(project.files)
    left = project.store.gc(min_age_s=0.0)
    assert (left.generations, left.files, contents(project)) == (0, (), expected)
    project.close()


def test_errors_and_slow_downs_of_the_storage_change_nothing(
    tmp_path: Path, dsn: str, bars: dict[str, pl.DataFrame], expected: dict[str, str]
) -> None:
    """A fifth of all requests fails in some way; worker processes, the manifest in PostgreSQL."""
    postgres_database.empty(dsn)
    rng, kinds = np.random.default_rng(3), ["503", "cut", "500", "lost", "torn"]
    with S3Server() as storage, Proxy(storage) as proxy:
        project = fill(Project.open(project_folder(tmp_path / "p", dsn, proxy.endpoint, PAIRS)), bars)
        proxy.fault = lambda *_: kinds[rng.integers(5)] if rng.random() < 0.2 else None
        report = build(project, WHOLE, engine="processes", threads=1)
        assert (report.failures, contents(project)) == ([], expected)
        assert len(proxy.seen) > len(expected)
        proxy.fault = lambda *_: None
        assert project.store.verify(deep=True) == []
        assert isinstance(project.files, S3Files)
        whole(project.files)
        project.close()


def test_settings_for_object_storage(tmp_path: Path) -> None:
    root = tmp_path / "p"
    Project.create(root, pairs=PAIRS).close()
    text = (root / "bqx.toml").read_text()
    for new, said in (
        ('files = "s3"', r"store\.bucket is not set"),
        ('files = "s3"\nbucket = "fx-lake"\nendpoint = "http://s3.example"', "plain http is for localhost"),
        ('files = "s3"\nbucket = "No Bucket"', "store.bucket"),
    ):
        (root / "bqx.toml").write_text(text.replace('files = "local"', new, 1))
        with pytest.raises(ConfigError, match=said):
            Project.open(root)
    page = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text()
    shown = page.split("```toml\n[store]\n")[1].split("```")[0]
    at = text.index("[store]\n")
    (root / "bqx.toml").write_text(f"{text[:at]}[store]\n{shown}\n{text[text.index('[build]') :]}")
    store = load_config(root).store
    assert (store.files, store.manifest, store.prefix, store.credentials) == ("s3", "postgres", "prod/", "fx-s3")

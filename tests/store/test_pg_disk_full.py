"""Real full disks, the server's and this machine's: small file systems in memory, so root is needed to mount them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pg_worker
import pytest
from store_engines import TABLES, open_postgres

import postgres_database
from bqx.base.errors import DiskError
from postgres_server import WANTED, Server


class Disk:
    """A file system of a few megabytes."""

    def __init__(self, path: Path, megabytes: int) -> None:
        self.path, self._filler = path, path / "filler"
        path.mkdir(parents=True)
        if os.geteuid() != 0:
            pytest.skip("mounting a small file system needs root")
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", path], capture_output=True, text=True
        )
        if done.returncode:
            pytest.skip(f"a small file system cannot be mounted: {done.stderr.strip()}")

    def fill(self, spare: int) -> None:
        """Leave `spare` bytes."""
        free = shutil.disk_usage(self.path).free
        with self._filler.open("wb") as stream:
            stream.write(bytes(max(free - spare, 0)))

    def empty(self) -> None:
        self._filler.unlink(missing_ok=True)

    def unmount(self) -> None:
        subprocess.run(["umount", "-l", self.path], check=True)


@pytest.fixture(scope="module", params=WANTED)
def server(request: pytest.FixtureRequest) -> Iterator[tuple[Server, Disk, str]]:
    """A server with one database whose tables and indexes are on a small disk of their own."""
    made = Server(request.param)
    disk = None
    try:
        disk = Disk(made.root / "small", 40)
        space = disk.path / "space"
        space.mkdir()
        for each in (disk.path, space):
            made.give(each)
        made.start()
        with postgres_database.psycopg.connect(made.dsn(), autocommit=True) as con:
            con.execute(f"CREATE TABLESPACE small LOCATION '{space}'")
            con.execute("CREATE DATABASE full_disk TABLESPACE small")
        postgres_database.prepare(made.dsn("full_disk"), TABLES)
        yield made, disk, made.dsn("full_disk")
    finally:
        if made.running():
            made.stop("immediate")
        if disk is not None:
            disk.unmount()
        made.remove()


@pytest.mark.parametrize("spare", [0, 100_000])
def test_the_servers_disk_fills_up(server: tuple[Server, Disk, str], tmp_path: Path, spare: int) -> None:
    """spare 0: in the first commit; 100 kB: some commits further on, in the middle of a COPY."""
    _, disk, dsn = server
    roots = [tmp_path / name for name in ("undisturbed", "full")]
    states = []
    for root in roots:
        root.mkdir()
        postgres_database.empty(dsn)
        if root.name == "full":
            disk.fill(spare)
            with pytest.raises(DiskError, match="the server's disk is full") as caught:
                pg_worker.run(root, dsn)
            assert caught.value.exit_code == 8
            opened = open_postgres(root, dsn)
            pg_worker.check_whole(opened.features)
            opened.manifest.close()
            disk.empty()
        pg_worker.run(root, dsn)
        opened = open_postgres(root, dsn)
        pg_worker.check_whole(opened.features)
        states.append(pg_worker.state(opened.features, opened.bars))
        opened.manifest.close()
    assert states[0] == states[1]


def test_this_machines_disk_fills_up_while_staging(any_store, tmp_path: Path) -> None:
    import store_tables as tables

    folder = "lake" if any_store.keeps_history else "spool"
    disk = Disk(tmp_path / folder, 1)
    try:
        disk.fill(4096)
        with pytest.raises(DiskError, match="no space left"):
            tables.stage(any_store.features, "returns_raw_rate", "eurusd", "2024_07", rows=3000)
        assert any_store.features.partitions() == []
        assert [p.name for p in disk.path.rglob("*") if p.is_file()] == ["filler"]
        disk.empty()
        any_store.put(("returns_raw_rate", "eurusd", "2024_07"), rows=3000)
        assert any_store.features.verify(deep=True) == []
    finally:
        disk.unmount()

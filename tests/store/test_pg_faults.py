"""The client killed, the server killed, the connection cut, at each fault point: nothing half-written, same end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import cut_proxy
import pg_worker
import pytest

import postgres_database
from bqx.base.errors import ServerError
from bqx.base.faults import SERVER_FAULT_POINTS
from conftest import TABLES, open_postgres
from postgres_server import WANTED, Server

HERE = Path(__file__).parent
HITS = {"after-spool": (1, 9), "after-rows": (1, 4), "before-commit": (1, 5, 9), "after-commit": (2, 7)}
"""Which hit of a point: early (bars, first July), and late (replacement, tails, compaction)."""
POINTS = [(point, hit) for point in SERVER_FAULT_POINTS for hit in HITS[point]]


@pytest.fixture(scope="module", params=WANTED)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of its own, that tests may kill. What it has told the kernel survives that; fsync is for power cuts."""
    made = Server(request.param, {"synchronous_commit": "on", "full_page_writes": "on"}).start()
    yield made
    made.remove()


@pytest.fixture(scope="module")
def dsn(server: Server) -> str:
    with postgres_database.psycopg.connect(server.dsn(), autocommit=True) as con:
        con.execute("CREATE DATABASE cut")
    postgres_database.prepare(server.dsn("cut"), TABLES)
    return server.dsn("cut")


@pytest.fixture(scope="module")
def undisturbed(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    root = tmp_path_factory.mktemp("undisturbed")
    postgres_database.empty(dsn)
    pg_worker.run(root, dsn)
    return _seen(root, dsn)


def _seen(root: Path, dsn: str) -> dict[str, object]:
    opened = open_postgres(root, dsn)
    pg_worker.check_whole(opened.features)
    seen = pg_worker.state(opened.features, opened.bars)
    opened.manifest.close()
    return seen


def test_the_undisturbed_run_is_what_it_should_be(undisturbed: dict[str, object]) -> None:
    months = [value for name, value in undisturbed.items() if "2024" in name]
    assert len(months) == 8 and all(value[3] == 1 for value in months)
    assert {value[2] for value in months} == {"in-1", "in-5"}


@pytest.fixture(scope="module")
def killer(dsn: str) -> Iterator[Callable[[Path, str], int]]:
    """killer(folder, "point:hit") -> exit status of a run that is killed there."""
    command = [sys.executable, str(HERE / "pg_worker.py"), dsn]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), *sys.path])}
    process = subprocess.Popen(command, stdin=-1, stdout=-1, text=True, env=environment)

    def run(root: Path, where: str) -> int:
        assert process.stdin and process.stdout
        print(root, where, file=process.stdin, flush=True)
        return int(process.stdout.readline())

    yield run
    process.communicate()


@pytest.mark.parametrize(("point", "hit"), POINTS)
def test_kill_minus_nine_of_the_client(
    point: str,
    hit: int,
    tmp_path: Path,
    dsn: str,
    killer: Callable[[Path, str], int],
    undisturbed: dict[str, object],
) -> None:
    postgres_database.empty(dsn)
    assert killer(tmp_path, f"{point}:{hit}") == -signal.SIGKILL
    opened = open_postgres(tmp_path, dsn)
    pg_worker.check_whole(opened.features)
    opened.manifest.close()
    pg_worker.run(tmp_path, dsn)
    assert _seen(tmp_path, dsn) == undisturbed
    opened = open_postgres(tmp_path, dsn)
    opened.features.gc()
    assert not list((tmp_path / "spool").glob("*"))
    opened.manifest.close()


class _At:
    """Do something at the n-th hit of a fault point, in this process."""

    def __init__(self, point: str, hit: int, action: Callable[[], object]) -> None:
        self.point, self.left, self.action = point, hit, action

    def __call__(self, name: str) -> None:
        if name == self.point:
            self.left -= 1
            if self.left == 0:
                self.action()


def _patch(monkeypatch: pytest.MonkeyPatch, at: _At) -> None:
    for module in ("manifest", "commit", "spool"):
        monkeypatch.setattr(f"bqx.store.pg.{module}.fault", at)


@pytest.mark.parametrize(("point", "hit"), [("after-rows", 4), ("after-commit", 7)])
def test_the_server_dies_and_comes_back(
    point: str,
    hit: int,
    tmp_path: Path,
    server: Server,
    dsn: str,
    undisturbed: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed without goodbye while a commit is on its way; it recovers while the client waits, and the run goes on."""
    postgres_database.empty(dsn)
    came_back = threading.Thread(target=server.start)

    def crash() -> None:
        server.stop("immediate")
        came_back.start()

    at = _At(point, hit, crash)
    _patch(monkeypatch, at)
    try:
        pg_worker.run(tmp_path, dsn)
    finally:
        if at.left <= 0:
            came_back.join()
    assert at.left <= 0
    assert _seen(tmp_path, dsn) == undisturbed
    assert "was not properly shut down" in server.log()


@pytest.mark.parametrize(("point", "hit"), [("before-commit", 5)])
def test_the_server_dies_for_good_and_the_run_is_started_again(
    point: str,
    hit: int,
    tmp_path: Path,
    server: Server,
    dsn: str,
    undisturbed: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    postgres_database.empty(dsn)
    with monkeypatch.context() as patch:
        _patch(patch, _At(point, hit, lambda: server.stop("immediate")))
        try:
            with pytest.raises(ServerError, match="no connection"):
                pg_worker.run(tmp_path, dsn, wait=0.3)
        finally:
            if not server.running() or not server.answers():
                server.start()
    opened = open_postgres(tmp_path, dsn)
    pg_worker.check_whole(opened.features)
    opened.manifest.close()
    pg_worker.run(tmp_path, dsn)
    assert _seen(tmp_path, dsn) == undisturbed


@pytest.mark.parametrize(("point", "hit"), POINTS)
def test_the_connection_is_cut(
    point: str,
    hit: int,
    tmp_path: Path,
    server: Server,
    dsn: str,
    undisturbed: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A reset in mid-transaction: where the transaction can be sent again the run goes on, else it is started again."""
    postgres_database.empty(dsn)
    proxy = cut_proxy.Proxy(server.port)
    cuts: list[int] = []
    _patch(monkeypatch, _At(point, hit, lambda: cuts.append(proxy.cut())))
    try:
        through = postgres_database.psycopg.conninfo.make_conninfo(dsn, port=proxy.port)
        try:
            pg_worker.run(tmp_path, through, wait=5)
        except ServerError:
            assert point == "before-commit"  # bars, or a compaction
            pg_worker.run(tmp_path, through, wait=5)
    finally:
        proxy.close()
    assert cuts and cuts[0] >= 2
    assert _seen(tmp_path, dsn) == undisturbed

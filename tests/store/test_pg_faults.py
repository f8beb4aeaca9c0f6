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
from store_engines import TABLES, open_postgres

import postgres_database
from bqx.base.errors import ServerError
from bqx.base.faults import SERVER_FAULT_POINTS
from postgres_server import WANTED, Server

HERE = Path(__file__).parent
HITS = {"after-spool": (1, 9), "after-rows": (1, 4), "before-commit": (1, 5, 9), "after-commit": (2, 7)}
"""Which hit of a point: early (bars, first July), and late (replacement, tails, compaction)."""
CASES = [(WANTED[0], point, hit) for point in SERVER_FAULT_POINTS for hit in HITS[point]]
CASES += [(WANTED[-1], point, HITS[point][-1]) for point in SERVER_FAULT_POINTS]
"""On one version all of them, on the other the late ones."""
each_case = pytest.mark.parametrize(("major", "point", "hit"), CASES)


class World:
    """A server of its own, that tests may kill, with a prepared database, and what an undisturbed run leaves there.

    What the server has told the kernel survives its death; fsync would be for power cuts.
    """

    def __init__(self, major: int, root: Path) -> None:
        self.server = Server(major, {"synchronous_commit": "on", "full_page_writes": "on"}).start()
        with postgres_database.psycopg.connect(self.server.dsn(), autocommit=True) as con:
            con.execute("CREATE DATABASE cut")
        self.dsn = self.server.dsn("cut")
        postgres_database.prepare(self.dsn, TABLES)
        pg_worker.run(root, self.dsn)
        self.undisturbed = _seen(root, self.dsn)
        command = [sys.executable, str(HERE / "pg_worker.py"), self.dsn]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), *sys.path])}
        self._killer = subprocess.Popen(command, stdin=-1, stdout=-1, text=True, env=environment)

    def run_killed(self, root: Path, where: str) -> int:
        """Exit status of a run that dies at `point:hit`."""
        assert self._killer.stdin and self._killer.stdout
        print(root, where, file=self._killer.stdin, flush=True)
        return int(self._killer.stdout.readline())

    def close(self) -> None:
        self._killer.communicate()
        self.server.remove()


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], World]]:
    made: dict[int, World] = {}

    def of(major: int) -> World:
        if major not in made:
            made[major] = World(major, tmp_path_factory.mktemp(f"undisturbed{major}"))
        postgres_database.empty(made[major].dsn)
        return made[major]

    yield of
    for world in made.values():
        world.close()


def _seen(root: Path, dsn: str) -> dict[str, object]:
    opened = open_postgres(root, dsn)
    pg_worker.check_whole(opened.features)
    seen = pg_worker.state(opened.features, opened.bars)
    opened.manifest.close()
    return seen


def test_the_undisturbed_run_is_what_it_should_be(worlds: Callable[[int], World]) -> None:
    seen = [worlds(major).undisturbed for major in WANTED]
    assert seen[0] == seen[1]
    months = [value for name, value in seen[0].items() if "2024" in name]
    assert len(months) == 8 and all(value[3] == 1 for value in months)
    assert {value[2] for value in months} == {"in-1", "in-5"}


@each_case
def test_kill_minus_nine_of_the_client(
    major: int, point: str, hit: int, tmp_path: Path, worlds: Callable[[int], World]
) -> None:
    world = worlds(major)
    dsn, undisturbed = world.dsn, world.undisturbed
    assert world.run_killed(tmp_path, f"{point}:{hit}") == -signal.SIGKILL
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


@pytest.mark.parametrize(("major", "point", "hit"), [(WANTED[0], "after-rows", 4), (WANTED[-1], "after-commit", 7)])
def test_the_server_dies_and_comes_back(
    major: int,
    point: str,
    hit: int,
    tmp_path: Path,
    worlds: Callable[[int], World],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed without goodbye while a commit is on its way; it recovers while the client waits, and the run goes on."""
    world = worlds(major)
    server, dsn, undisturbed = world.server, world.dsn, world.undisturbed
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


@pytest.mark.parametrize(("major", "point", "hit"), [(WANTED[-1], "before-commit", 5)])
def test_the_server_dies_for_good_and_the_run_is_started_again(
    major: int,
    point: str,
    hit: int,
    tmp_path: Path,
    worlds: Callable[[int], World],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = worlds(major)
    server, dsn, undisturbed = world.server, world.dsn, world.undisturbed
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


@each_case
def test_the_connection_is_cut(
    major: int,
    point: str,
    hit: int,
    tmp_path: Path,
    worlds: Callable[[int], World],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A reset in mid-transaction: where the transaction can be sent again the run goes on, else it is started again."""
    world = worlds(major)
    server, dsn, undisturbed = world.server, world.dsn, world.undisturbed
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

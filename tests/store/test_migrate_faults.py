"""Clients killed, servers restarted, lock tables too small: no half state, a status that is true, a rerun that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from migrate_world import Small

from bqx.base.errors import MigrationConflict, MigrationLocked, PreflightError
from bqx.store.migrate.apply import Options, apply
from bqx.store.migrate.budget import Budget, need
from bqx.store.migrate.connect import connect
from bqx.store.migrate.fixture import World, build
from bqx.store.migrate.live import plan_live
from bqx.store.migrate.plan import Plan
from bqx.store.migrate.spec import read_spec
from bqx.store.migrate.status import status
from bqx.store.migrate.verify import verify
from postgres_server import WANTED, Server, binaries

WORKER = Path(__file__).with_name("migrate_apply_worker.py")
GATE = 4242
"""An advisory lock the test holds: the server waits for it in the middle of its renames."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that may be restarted, with prepared transactions and a small lock table."""
    if not binaries():
        pytest.skip("no PostgreSQL here")
    major = WANTED[0] if WANTED[0] in binaries() else max(binaries())
    settings = {"max_prepared_transactions": "2", "max_locks_per_transaction": "10", "max_connections": "20"}
    made = Server(major, settings | {"shared_buffers": "16MB", "autovacuum": "off"})
    try:
        yield made.start()
    finally:
        made.remove()


@pytest.fixture
def world(server: Server) -> Iterator[Small]:
    made = Small(server.dsn()).make()
    yield made
    made.drop()


def gate(world: Small, after: int) -> None:
    """From the `after`-th rename on the server waits for the gate."""
    world.run(
        "CREATE SEQUENCE {s}.renames",
        "CREATE FUNCTION {s}.gate() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF nextval('{{s}}.renames') = {after} THEN PERFORM pg_advisory_xact_lock({GATE}); END IF; END $$",
        "CREATE EVENT TRIGGER {s}_gate ON ddl_command_end WHEN TAG IN ('ALTER TABLE', 'ALTER INDEX')"
        " EXECUTE FUNCTION {s}.gate()",
    )


def open_gate(world: Small) -> None:
    world.run("DROP EVENT TRIGGER {s}_gate", "DROP FUNCTION {s}.gate", "DROP SEQUENCE {s}.renames")


def start(world: Small, plan: Plan, folder: Path, *more: str, fault: str = "") -> subprocess.Popen[bytes]:
    path = folder / "plan.json"
    plan.write(path)
    environment = {**os.environ, "BQX_FAULT": fault}
    command = [sys.executable, str(WORKER), world.dsn, str(path), *more]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)


def wait_at_gate(holder: psycopg.Connection) -> int:
    """Until a session waits for the gate; its pid."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        row = holder.execute(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted", (GATE,)
        ).fetchone()
        if row:
            return int(row[0])
        time.sleep(0.02)
    raise AssertionError("nobody came to the gate")


def gone(holder: psycopg.Connection, pid: int) -> None:
    until = time.monotonic() + 30
    while holder.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize("after", [1, 7, 20])
def test_a_client_killed_after_k_objects(world: Small, tmp_path: Path, after: int) -> None:
    before, plan = world.picture(), world.plan(LIMITS)
    gate(world, after)
    with psycopg.connect(world.dsn, autocommit=True) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", (GATE,))
        process = start(world, plan, tmp_path, "1000")
        pid = wait_at_gate(holder)
        assert world.status(plan).state == "running"
        process.kill()
        assert process.wait() == -signal.SIGKILL
        holder.execute("SELECT pg_advisory_unlock(%s)", (GATE,))
        gone(holder, pid)
    open_gate(world)
    assert world.picture() == before
    found = world.status(plan)
    assert (found.state, found.done, found.pending) == ("interrupted", 0, 12)
    done = world.apply(plan, budget=Budget(1000, 0))
    assert done.applied and done.verified is not None and done.verified.passed and world.old() == 0


LIMITS = "lock_timeout_ms: 60000"


def test_a_client_killed_between_batches(world: Small, tmp_path: Path) -> None:
    """What was committed stays, what was not is as before; the ledger knows which; the same plan goes on."""
    plan = world.plan(LIMITS)
    unit = need([s for s in plan.pending if s.unit == plan.pending[0].unit], views=False)
    process = start(world, plan, tmp_path, str(2 * unit), fault="after-commit:2")
    assert process.wait() == -signal.SIGKILL
    found = world.status(plan)
    assert (found.state, found.done, found.in_ledger, found.pending) == ("interrupted", 6, 6, 6)
    done = world.apply(plan, budget=Budget(2 * unit, 0))
    assert done.applied and len(done.batches) == 2 and world.old() == 0
    assert verify(world.dsn, plan).passed and world.status(plan).state == "applied"
    world.back(plan, budget=Budget(1000, 0))
    assert world.status(plan).state == "rolled back" and world.status(plan).pending == 12


def test_an_interrupted_run_can_be_taken_back(world: Small, tmp_path: Path) -> None:
    before, plan = world.picture(), world.plan(LIMITS)
    unit = need([s for s in plan.pending if s.unit == plan.pending[0].unit], views=False)
    assert start(world, plan, tmp_path, str(2 * unit), fault="before-commit:3").wait() == -signal.SIGKILL
    until = time.monotonic() + 30
    while world.status(plan).state == "running":
        assert time.monotonic() < until
    assert world.status(plan).done == 6 and world.picture() != before
    back = world.back(plan, budget=Budget(1000, 0))
    assert back.applied and sum(b.tables for b in back.batches) == 6
    assert world.picture() == before and world.status(plan).state == "rolled back"


@pytest.mark.parametrize(("fault", "done"), [("before-commit", 0), ("after-commit", 12)])
def test_a5_15_a_client_killed_around_its_commit(world: Small, tmp_path: Path, fault: str, done: int) -> None:
    """Killed after COMMIT and before any report: `verify` and `status` work from the ledger."""
    plan = world.plan()
    assert start(world, plan, tmp_path, "1000", fault=fault).wait() == -signal.SIGKILL
    until = time.monotonic() + 30
    while (found := world.status(plan)).state == "running":  # the server takes a moment to see that nobody is there
        assert time.monotonic() < until
    assert found.done == done and found.state == ("applied" if done else "interrupted")
    if done:
        assert verify(world.dsn, plan, rows="skip").passed
        assert world.apply(plan).nothing
    else:
        assert world.old() == 24 and world.apply(plan, budget=Budget(1000, 0)).applied


def test_a_server_restarted_in_mid_apply(world: Small, server: Server, tmp_path: Path) -> None:
    before, plan = world.picture(), world.plan(LIMITS)
    gate(world, 9)
    with psycopg.connect(world.dsn, autocommit=True) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", (GATE,))
        process = start(world, plan, tmp_path, "1000")
        wait_at_gate(holder)
        server.restart("immediate")
    assert process.wait() == 9
    assert process.stdout is not None and process.stdout.read().strip() == b"BQX425"
    open_gate(world)
    assert world.picture() == before
    assert world.status(plan).state == "interrupted"
    assert world.apply(plan, budget=Budget(1000, 0)).applied and world.old() == 0


def test_a_lock_table_too_small_for_one_transaction(server: Server) -> None:
    """1,456 tables on a server with room for 220 locks: refused as one transaction, done in batches of whole units."""
    dsn = server.dsn()
    build(dsn, World(schema="bqx"), jobs=1)
    spec = read_spec("1.6.9").model_copy(update={"expect": read_spec("1.6.9").expect.model_copy(update={
        "empty": ("statistics", "bollinger", "fibonacci", "correlation")})})  # fmt: skip
    with connect(dsn) as con:
        plan = plan_live(con, spec)
    assert plan.locks["capacity"] == 220 and plan.locks["needed"] > 2900
    with pytest.raises(PreflightError, match="locks"):
        apply(dsn, plan, Options(mode="atomic"))
    assert status(dsn, plan).pending == 1456
    with pytest.raises(MigrationLocked, match="lock table is full") as caught:
        apply(dsn, plan, Options(mode="atomic", budget=Budget(100_000, 0), rows="skip"))
    assert caught.value.exit_code == 5
    found = status(dsn, plan)
    assert (found.state, found.done, found.pending) == ("failed", 0, 1456)
    done = apply(dsn, plan, Options(rows="skip"))
    assert done.mode == "batched" and len(done.batches) >= 28
    assert done.verified is not None
    assert [c for c in done.verified.checks if c.passed is False] == []
    assert status(dsn, plan).state == "applied"
    with psycopg.connect(dsn, autocommit=True) as con:
        for (name,) in con.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'p' AND relnamespace = 'bqx'::regnamespace"
        ).fetchall():
            con.execute(f"DROP TABLE bqx.{name}".encode())
        con.execute("DROP SCHEMA bqx")
        con.execute("DROP SCHEMA bqx_migrate CASCADE")


def test_a5_11_prepared_transactions(world: Small) -> None:
    with psycopg.connect(world.dsn) as con:
        con.execute(f"INSERT INTO {world.schema}.statistics_features_eurusd VALUES ('2025-01-31', 1)".encode())
        con.execute("PREPARE TRANSACTION 'forgotten'")
    try:
        plan = world.plan()
        assert any(f.level == "stop" and "forgotten" in f.what for f in plan.findings)
        with pytest.raises(PreflightError, match="forgotten"):
            world.apply(plan)
        assert world.old() == 24
    finally:
        world.run("ROLLBACK PREPARED 'forgotten'")
    assert world.apply(world.plan(), budget=Budget(1000, 0)).applied


def test_a5_11_an_index_is_being_built(world: Small) -> None:
    """CREATE INDEX CONCURRENTLY waits for an old snapshot: found, waited for, and then it goes on."""
    plan = world.plan()
    leaf = "statistics_features_eurusd_2025_01"
    with psycopg.connect(world.dsn) as old, psycopg.connect(world.dsn, autocommit=True) as builder:
        old.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        old.execute("SELECT 1")
        sql = f"CREATE INDEX CONCURRENTLY {leaf}_more ON {world.schema}.{leaf} (f0)"
        thread = threading.Thread(target=lambda: builder.execute(sql.encode()))
        thread.start()
        try:
            until = time.monotonic() + 30
            while not world.run("SELECT 1 FROM pg_stat_progress_create_index"):
                assert time.monotonic() < until
            with pytest.raises(MigrationConflict, match=f"{leaf}_more is new"):
                world.apply(plan)
            with pytest.raises(PreflightError, match="CREATE INDEX CONCURRENTLY runs on"):
                world.apply(world.plan())
            assert not any("_rate_" in n for n in world.names())
        finally:
            old.rollback()
            thread.join()
    fresh = world.plan()
    assert any(s.old == f"{leaf}_more" for s in fresh.steps), "the new index is of the plan"
    assert world.apply(fresh, budget=Budget(1000, 0)).applied and world.old() == 0


def test_a5_11_a_vacuum_that_does_not_give_way(world: Small) -> None:
    leaf = f"{world.schema}.statistics_features_eurusd_2025_01"
    rows = "SELECT '2025-01-05'::timestamptz + i * interval '1 second', 0 FROM generate_series(1, 99999) i"
    world.run(f"INSERT INTO {leaf} {rows}")
    plan = world.plan()
    with psycopg.connect(world.dsn, autocommit=True) as slow:
        slow.execute("SET vacuum_cost_delay = 50; SET vacuum_cost_limit = 1")
        pid = slow.info.backend_pid

        def vacuum() -> None:
            with pytest.raises(psycopg.errors.QueryCanceled):
                slow.execute(f"VACUUM {leaf}".encode())

        thread = threading.Thread(target=vacuum)
        thread.start()
        try:
            until = time.monotonic() + 30
            while not world.run("SELECT 1 FROM pg_stat_progress_vacuum"):
                assert time.monotonic() < until
            with pytest.raises(PreflightError, match="vacuum that does not give way") as caught:
                world.apply(plan)
            assert f"pid {pid}" in caught.value.what and world.old() == 24
            done: list[bool] = []
            waiting = threading.Thread(
                target=lambda: done.append(world.apply(plan, wait=30, sleep=time.sleep, budget=Budget(1000, 0)).applied)
            )
            waiting.start()
            time.sleep(0.3)
            assert not done
        finally:
            world.run(f"SELECT pg_cancel_backend({pid})")
            thread.join()
        waiting.join()
    assert done == [True] and world.old() == 0

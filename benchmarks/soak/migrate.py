"""Stage 1.6.9 with all its rows, 30,867,054 of them, on every PostgreSQL this machine has: there, proven, and back."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from benchmarks.soak.state import State
from bqx.market.pairs import PAIRS
from bqx.store.migrate.apply import Options, Result, apply
from bqx.store.migrate.connect import connect
from bqx.store.migrate.facts import gather
from bqx.store.migrate.fixture import ROWS, World, build, size
from bqx.store.migrate.ledger import Ledger
from bqx.store.migrate.live import plan_live
from bqx.store.migrate.plan import Plan
from bqx.store.migrate.report import make_report
from bqx.store.migrate.rollback import rollback
from bqx.store.migrate.spec import Spec, read_spec

sys.path.append(str(Path(__file__).parents[2] / "tests"))
from postgres_server import WANTED, Server, binaries

DDL_SECONDS = 1.0
"""The better of dry run and run: both rename everything, and others use this machine."""
WORLD_PAIRS = PAIRS
SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "8GB", "wal_level": "minimal", "max_wal_senders": "0"}


def migrate_stage(state: State) -> dict[str, Any]:
    """`state.size` percent of the rows; a trial is a server."""
    began = time.perf_counter()
    world = World(pairs=WORLD_PAIRS, share=state.size / 100)
    for major in [m for m in WANTED if m in binaries()][len(state.trials) :]:
        needed = 2 * size(world)["bytes"]
        free = shutil.disk_usage(tempfile.gettempdir()).free
        if free < needed:
            raise SystemExit(f"{needed / 1e9:.1f} GB of disk are needed, {free / 1e9:.1f} GB are free")
        server = Server(major, SETTINGS)
        try:
            state.add({"major": major, **trial(server.start().dsn(), world, spec_for(world))})
        finally:
            server.remove()
        print(state.trials[-1], flush=True)
    return {
        "ok": bool(state.trials) and all(t["ok"] for t in state.trials),
        "rows": sum(sum(world.leaves(f).values()) for f in ROWS),
        "trials": state.trials,
        "seconds": round(time.perf_counter() - began, 1),
    }


def spec_for(world: World) -> Spec:
    """The shipped specification, with the world's own counts declared."""
    spec = read_spec("1.6.9")
    rows = {family: sum(world.leaves(family).values()) for family in world.families}
    tables = len(world.pairs) * (1 + len(world.months))
    each = spec.expect.each.model_copy(
        update={"tables": tables, "parents": len(world.pairs), "partitions": tables - len(world.pairs)}
    )
    expect = spec.expect.model_copy(update={"each": each, "total": tables * len(world.families), "rows": rows})
    return spec.model_copy(update={"expect": expect})


def trial(dsn: str, world: World, spec: Spec) -> dict[str, Any]:
    """Build, plan, apply, verify, report, take back; counts by a query of our own before and after."""
    built = build(dsn, world)
    before, names = _count(dsn, world, "features"), _names(dsn)
    clock = time.perf_counter()
    with connect(dsn) as con:
        plan: Plan = plan_live(con, spec)
    planned = time.perf_counter() - clock
    tried = apply(dsn, plan, Options(rows="skip", dry_run=True))
    done: Result = apply(dsn, plan)
    after, renamed = _count(dsn, world, "rate"), _names(dsn)
    with connect(dsn) as con:
        report = make_report(gather(Ledger(con, spec.ledger_schema), plan, "soak")).as_dict()
    back = rollback(dsn, plan, Options(rows="fast"))
    rows = sum(after.values())
    checks = {c.id: c.passed for c in done.verified.checks} if done.verified else {}
    return {
        "ok": before == after == dict(built.rows)
        and renamed == {oid: name.replace("_features_", "_rate_") for oid, name in names.items()}
        and min(tried.total("ddl"), done.total("ddl")) <= DDL_SECONDS
        and len(checks) == 9
        and all(checks.values())
        and bool(report["blocks"])
        and back.applied
        and _names(dsn) == names,
        "tables": built.tables,
        "rows_before": before,
        "rows_after": after,
        "rows": rows,
        "build_seconds": round(built.seconds, 1),
        "build_rows_per_second": round(rows / built.seconds),
        "plan_seconds": round(planned, 3),
        "dry_run_ddl_seconds": round(tried.total("ddl"), 3),
        "apply_seconds": {p: round(done.total(p), 3) for p in done.batches[0].seconds},
        "exclusive_seconds": round(sum(b.locked for b in done.batches), 3),
        "objects": sum(b.objects for b in done.batches),
        "objects_per_ddl_second": round(sum(b.objects for b in done.batches) / done.total("ddl")),
        "rows_counted_per_second": round(rows / done.total("counting")),
        "verification_seconds": round(done.verified.seconds, 2) if done.verified else None,
        "apply_and_verify_seconds": round(done.seconds, 2),
        "checks": checks,
        "rollback_seconds": round(back.seconds, 2),
    }


def _count(dsn: str, world: World, word: str) -> dict[str, int]:
    """Rows by family, counted through the parents."""
    out = {}
    with psycopg.connect(dsn) as con:
        for family in world.families:
            total = 0
            for pair in world.pairs:
                table = sql.Identifier(world.schema, f"{family}_{word}_{pair}")
                row = con.execute(sql.SQL("SELECT count(*) FROM {}").format(table)).fetchone()
                total += int(row[0]) if row else 0
            out[family] = total
    return out


def _names(dsn: str) -> dict[int, str]:
    """Every relation and constraint of the schema by OID."""
    with psycopg.connect(dsn) as con:
        return dict(
            con.execute(
                "SELECT oid::int8, relname FROM pg_class WHERE relnamespace = 'bqx'::regnamespace UNION ALL"
                " SELECT oid::int8, conname FROM pg_constraint WHERE connamespace = 'bqx'::regnamespace"
            ).fetchall()
        )

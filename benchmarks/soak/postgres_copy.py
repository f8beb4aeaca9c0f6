"""A partition of 30,000 x 56 float4: our staging and commit against `psql \\copy` of the same bytes, taking turns."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.soak.state import State
from bqx.market.calendar import month_span
from bqx.store.partition import PartitionKey
from bqx.store.pg.layout import Layout
from bqx.store.pg.manifest import PgManifest
from bqx.store.pg.sessions import Sessions
from bqx.store.pg.store import PostgresStore
from bqx.store.pg.upgrade import Wanted, upgrade

sys.path.append(str(Path(__file__).parents[2] / "tests"))
import postgres_server

COLUMNS, ROWS, BAR = 56, 30_000, 0.5
KEY = PartitionKey("technical_rate", "eurusd", "2024_07")
LAYOUT = Layout()


def postgres_copy(state: State) -> dict[str, Any]:
    """`state.size` rounds on each server the suite runs on.

    ratio : of the medians of wall times, which the bar is for. processor_ratio : of all processor time, the server's
    and the client's, for machines that do other things meanwhile.
    """
    servers = {str(major): _measure(major, state) for major in postgres_server.WANTED}
    ratios = {f"ratio_on_{major}": found["ratio"] for major, found in servers.items()}
    return {"ok": all(ratio >= BAR for ratio in ratios.values()), "bar": BAR, **ratios, "servers": servers}


def _measure(major: int, state: State) -> dict[str, Any]:
    with running(major) as server, tempfile.TemporaryDirectory(prefix="bqx-copy-") as folder:
        root = Path(folder)
        root.chmod(0o755)
        table = partition(state.seed)
        sessions = Sessions(server.dsn, search_path=LAYOUT.manifest)
        schema = tuple((name, str(dtype)) for name, dtype in table.schema.items())
        upgrade(sessions, LAYOUT, Wanted({KEY.dataset: schema}, (KEY.pair,), (KEY.ym,)))
        manifest = PgManifest(sessions, LAYOUT)
        try:
            store = PostgresStore(root, manifest)
            rounds = [one_round(server, root, store, table, check=not number) for number in range(state.size)]
        finally:
            manifest.close()
    ours = [r["stage"] + r["commit"] for r in rounds]
    theirs = [r["psql"] for r in rounds]
    return {
        "ratio": round(statistics.median(theirs) / statistics.median(ours), 3),
        "processor_ratio": round(sum(r["psql_cpu"] for r in rounds) / sum(r["our_cpu"] for r in rounds), 3),
        "stage_ms": round(statistics.median(r["stage"] for r in rounds) * 1e3, 1),
        "commit_ms": round(statistics.median(r["commit"] for r in rounds) * 1e3, 1),
        "psql_ms": round(statistics.median(theirs) * 1e3, 1),
        "bytes": rounds[0]["bytes"],
        "rows_per_second": round(ROWS / statistics.median(ours)),
        "rounds": len(rounds),
    }


def one_round(
    server: postgres_server.Server, root: Path, store: PostgresStore, table: pl.DataFrame, *, check: bool
) -> dict[str, Any]:
    """Seconds of staging (checks, hashes, encoding, spool), of the commit (COPY, ANALYZE, receipts) and of psql's COPY
    of the spooled bytes into the same table, which is empty before each."""
    _truncate(server)
    given = {"input_hash": "i", "code_version": "1", "complete_through": KEY.span[1] - 1, "simulated": True}
    before = time.process_time() + _server_cpu(server)
    began = time.perf_counter()
    receipt = store.stage(KEY, table, **given)  # type: ignore[arg-type]
    staged = time.perf_counter()
    kept = root / "same-bytes.copy"
    kept.write_bytes((root / receipt.path).read_bytes())
    kept.chmod(0o644)
    halfway = time.perf_counter()
    store.commit([receipt])
    done = time.perf_counter()
    our_cpu = time.process_time() + _server_cpu(server) - before
    if check and store.verify(deep=True):
        raise SystemExit("what was written is not what was staged")
    _truncate(server)
    names = ", ".join(f'"{name}"' for name in table.columns)
    command = f"\\copy bqx.{KEY.name} ({names}) from '{kept}' (format binary)"
    before = _children_cpu() + _server_cpu(server)
    psql = _psql(server, "\\timing on", command)
    psql_cpu = _children_cpu() + _server_cpu(server) - before
    size = kept.stat().st_size
    _truncate(server)
    store.drop([KEY])
    times = {"stage": staged - began, "commit": done - halfway, "psql": psql}
    return {**times, "our_cpu": our_cpu, "psql_cpu": psql_cpu, "bytes": size}


def _children_cpu() -> float:
    """Processor seconds of this process's ended children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _server_cpu(server: postgres_server.Server) -> float:
    """Processor seconds of the postmaster, its children, and those it has reaped; from /proc."""
    main = (server.data / "postmaster.pid").read_text().split()[0]
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if stat.parent.name == main:
            ticks += sum(map(int, words[11:15]))
        elif words[1] == main:
            ticks += sum(map(int, words[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def partition(seed: int) -> pl.DataFrame:
    """Smooth and noisy columns, one value in twenty NULL."""
    draw = np.random.default_rng(seed)
    minutes = month_span(KEY.ym)[0] + np.arange(ROWS, dtype=np.int64)
    data: dict[str, Any] = {"ts_utc": pl.Series(minutes * 60_000_000).cast(pl.Datetime("us", "UTC"))}
    for number in range(COLUMNS):
        values = draw.normal(size=ROWS)
        values = np.cumsum(values) if number % 2 else values
        column = pl.Series(values.astype(np.float32))
        data[f"c{number:02}"] = column.scatter(np.flatnonzero(draw.random(ROWS) < 0.05), None)
    return pl.DataFrame(data)


@contextmanager
def running(major: int, **settings: str) -> Iterator[postgres_server.Server]:
    """A server of its own, removed at the end."""
    server = postgres_server.Server(major, settings)
    try:
        yield server.start()
    finally:
        server.remove()


def _truncate(server: postgres_server.Server) -> None:
    _psql(server, f"TRUNCATE bqx.{KEY.name}")


def _psql(server: postgres_server.Server, *commands: str) -> float:
    """Run commands; seconds that psql gives for the last, without its own start."""
    words = [word for command in commands for word in ("-c", command)]
    done = subprocess.run(
        [server.program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", server.dsn(), *words],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"psql failed: {done.stderr}")
    times = [line for line in done.stdout.splitlines() if line.startswith("Time:")]
    return float(times[-1].split()[1]) / 1e3 if times else 0.0

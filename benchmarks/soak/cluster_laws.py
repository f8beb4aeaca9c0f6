"""What a unit costs besides its work: calls, receipts, files; measured on this machine."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psycopg

from benchmarks.soak.postgres_copy import running
from benchmarks.soak.state import State
from bqx.build.engines import map_units, open_executor
from bqx.build.project import Project
from bqx.build.server_tables import wanted_tables
from bqx.market.calendar import datetime_of
from bqx.market.pairs import PAIRS
from bqx.store.contract import Receipt
from bqx.store.partition import PartitionKey

sys.path.append(str(Path(__file__).parents[2] / "tests"))
import postgres_database
from hosts import TwoHosts

CALLS, COLUMNS, ROWS = 400, 14, 30_000


def cluster_laws(state: State, calls: int = CALLS, major: int = 18) -> dict[str, Any]:
    """`state.size` units are committed."""
    with tempfile.TemporaryDirectory(prefix="bqx-laws-") as folder, running(major) as server:
        found = laws(Path(folder), manifest_only(server.dsn()), calls, state.size)
    return {"ok": all(value > 0 for key, value in found.items() if key.endswith("_ms")), "laws": found}


def manifest_only(dsn: str) -> str:
    """DSN of a new database with the manifest's tables and no others."""
    made = postgres_database.dsn_of(dsn, "bqx_cluster")
    with psycopg.connect(dsn, autocommit=True) as con:
        con.execute("CREATE DATABASE bqx_cluster TEMPLATE template0")
    postgres_database.prepare(made, wanted_tables(PAIRS, (), only=(), first="2024_05", last="2024_05"))
    return made


def laws(folder: Path, dsn: str, calls: int, units: int) -> dict[str, Any]:
    """Milliseconds, medians: a call that does nothing, on worker processes and on Dask with two workers; a unit of 28
    receipts committed, manifest in PostgreSQL, files in S3; a file written, and fetched; bytes of its receipt."""
    postgres_database.empty(dsn)
    out: dict[str, Any] = {"load_average": round(os.getloadavg()[0], 1), "pairs": len(PAIRS)}
    with ExitStack() as stack:
        hosts = TwoHosts(folder, dsn, stack, PAIRS)
        for name, engine in (("processes", "processes"), ("dask", hosts.cluster.engine)):
            out[f"call_ms_{name}"] = _calls(engine, calls)
        project = stack.enter_context(closing(Project.open(hosts.root)))
        puts, commits, fetches, receipts = [], [], [], list[Receipt]()
        for number in range(units):
            receipts = [_stage(project, pair, number, puts) for pair in PAIRS]
            commits.append(_timed(lambda made=receipts: project.store.commit(made)))
            fetches.append(_timed(lambda made=receipts: project.files.fetch([_file(r) for r in made])) / len(PAIRS))
        out |= {
            "put_ms": _ms(puts), "commit_ms": _ms(commits), "fetch_ms": _ms(fetches),
            "receipt_bytes": len(str(receipts[0].as_dict())), "file_bytes": receipts[0].bytes,
        }  # fmt: skip
    return out


def _calls(engine: str, count: int) -> float:
    """Milliseconds a call of two workers that have been called before."""
    with closing(open_executor(engine, 2)) as executor:
        for _ in range(2):
            clock = time.perf_counter()
            done = sum(1 for _ in map_units(executor, "bqx.build.engines:echo", [{"n": k} for k in range(count)]))
            seconds = time.perf_counter() - clock
    assert done == count
    return round(1000 * seconds / count, 3)


def _stage(project: Project, pair: str, number: int, puts: list[float]) -> Receipt:
    key = PartitionKey("returns_raw_rate", pair, f"{2020 + number // 12}_{number % 12 + 1:02}")
    rng = np.random.default_rng([number, PAIRS.index(pair)])
    start = key.span[0]
    ts = pl.Series("ts_utc", np.arange(start, start + ROWS) * 60_000_000).cast(pl.Datetime("us", "UTC"))
    table = pl.DataFrame([ts, *(pl.Series(f"c{k}", rng.normal(size=ROWS).astype("f4")) for k in range(COLUMNS))])
    assert table["ts_utc"][0] == datetime_of(start)
    made: list[Receipt] = []
    puts.append(
        _timed(
            lambda: made.append(
                project.store.stage(
                    key, table, input_hash="x", code_version="x", complete_through=start + ROWS, simulated=True
                )
            )
        )
    )
    return made[0]


def _file(receipt: Receipt) -> Any:
    from bqx.store.files import Written

    return Written(receipt.path, receipt.bytes, receipt.file_hash)


def _timed(work: Callable[[], Any]) -> float:
    clock = time.perf_counter()
    work()
    return time.perf_counter() - clock


def _ms(seconds: list[float]) -> float:
    return round(1000 * statistics.median(seconds), 2)

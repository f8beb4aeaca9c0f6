"""28 pairs x 12 months x 35 datasets of empty partitions by one command: time, catalogue, planning."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.soak.postgres_copy import running
from benchmarks.soak.state import State
from bqx.features.catalogue import own_datasets
from bqx.market.pairs import PAIRS
from bqx.store.pg.layout import Layout

SOURCE = Path(__file__).parents[2] / "src"
SETTINGS = """\
[project]
pairs = {pairs}
[store]
kind = "postgres"
server = "fx-db"
[secrets]
provider = "file"
path = "{secrets}"
"""
PLANNING_BAR_MS = 20.0
"""A new session's first plan; one that looked at all 11,760 tables takes seconds."""


def postgres_leaves(
    state: State, pairs: tuple[str, ...] = PAIRS, datasets: int = 35, major: int = 18
) -> dict[str, Any]:
    """`state.size` months from 2024-01 on. The command is run twice: the second finds nothing to make."""
    chosen = [name for name in own_datasets() if name != "time_dual"][:datasets]
    last = f"{2024 + (state.size - 1) // 12}_{(state.size - 1) % 12 + 1:02}"
    words = [word for name in chosen for word in ("--dataset", name)]
    with running(major) as server, tempfile.TemporaryDirectory(prefix="bqx-leaves-") as folder:
        root = Path(folder) / "project"
        root.mkdir()
        secrets = Path(folder) / "secrets"
        secrets.mkdir(mode=0o700)
        (secrets / "fx-db").write_text(server.dsn())
        (secrets / "fx-db").chmod(0o600)
        (root / "bqx.toml").write_text(SETTINGS.format(pairs=json.dumps(pairs), secrets=secrets))
        first, again = (_upgrade(root, *words, "--from", "2024_01", "--to", last) for _ in range(2))
        with_leaves = _leaves(server.dsn())
    wanted = len(pairs) * state.size * len(chosen)
    kept = ("seconds", "relations", "catalogue_bytes", "cold_ms", "warm_ms", "leaves")
    return {
        "ok": with_leaves == wanted and again["steps"] == [] and first["leaves"] == 1
        and first["cold_ms"] <= PLANNING_BAR_MS,
        "server": major,
        "partitions": with_leaves,
        "wanted": wanted,
        **{name: first[name] for name in kept},
        "second_run_seconds": again["seconds"],
        "second_run_steps": len(again["steps"]),
    }  # fmt: skip


def _upgrade(root: Path, *words: str) -> dict[str, Any]:
    """`bqx store upgrade --json` in a process of its own."""
    code = "import sys; from bqx.cli.main import main; main(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, "-C", str(root), "store", "upgrade", *words, "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    if done.returncode:
        raise SystemExit(f"bqx store upgrade failed: {done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _leaves(dsn: str) -> int:
    """Partitions as the server counts them: plain tables below two levels of parents."""
    import psycopg

    with psycopg.connect(dsn) as con:
        row = con.execute(
            "SELECT count(*) FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid "
            "JOIN pg_inherits j ON j.inhrelid = i.inhparent JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = %s AND c.relkind = 'r'",
            (Layout().schema,),
        ).fetchone()
    return int(row[0]) if row else 0

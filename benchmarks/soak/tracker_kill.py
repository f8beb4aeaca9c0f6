"""kill -9 between commit and delivery; started again, the tracker holds every change exactly once."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.airtable.base import Base
from benchmarks.airtable.plan_base import stages
from benchmarks.airtable.server import FakeAirtable
from benchmarks.airtable.watched import WatchedTable
from benchmarks.airtable.world import new_token
from benchmarks.soak.state import State

SOURCE = Path(__file__).parents[2] / "src"
CHANGES = {"1.6.1": ("old", 1.0), "1.6.10": ("new", 10.0), "2.1": ("made", 2.0)}
WORKER = """
import json, sqlite3, sys
from pathlib import Path
from bqx.base.secrets import FileProvider
from bqx.ops.tracker import schema
from bqx.ops.tracker.airtable import AirtableTracker
from bqx.ops.tracker.delivery import deliver
from bqx.ops.tracker.mapping import TrackerMap
from bqx.ops.tracker.outbox import enqueue
database, vault, endpoint, changes = sys.argv[1], Path(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4])
con = sqlite3.connect(database, isolation_level=None)
if changes:
    con.execute("BEGIN IMMEDIATE")
    con.execute("CREATE TABLE evidence (id TEXT)")
    for step in schema.STEPS:
        step(con)
    for code, (notes, hours) in changes.items():
        con.execute("INSERT INTO evidence VALUES (?)", (code,))
        fields = {"notes": notes, "hours": hours, "status": "validated", "evidence": code}
        enqueue(con, code=code, fields=fields, made_at=1)
    con.execute("COMMIT")
print("committed", flush=True)
out = deliver(con, AirtableTracker(FileProvider(vault), TrackerMap.load(), endpoint=endpoint))
print(len(out.delivered), out.waiting, out.problem, flush=True)
"""


def tracker_kill(state: State) -> dict[str, Any]:
    """`state.size` kills: a third after a random time, the others at a random request, before or after it is done."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="bqx-soak-") as folder, FakeAirtable() as fake:
        for number in range(len(state.trials), state.size):
            rng = random.Random(f"{state.seed}:{number}")  # noqa: S311 - reproducible trials, no secret
            state.add(trial(number, rng, fake, Path(folder)))
            print(f"{number}: {state.trials[-1]}", flush=True)
    bad = [t for t in state.trials if t["problem"]]
    return {
        "ok": not bad and any(t["killed"] for t in state.trials),
        "trials": len(state.trials),
        "killed": sum(t["killed"] for t in state.trials),
        "finished_before_the_kill": sum(not t["killed"] for t in state.trials),
        "in_place_when_killed": dict(sorted(Counter(t["in_place"] for t in state.trials).items())),
        "changes": sum(t["changes"] for t in state.trials),
        "problems": bad,
        "seconds": round(time.perf_counter() - began, 1),
    }


def trial(number: int, rng: random.Random, fake: FakeAirtable, folder: Path) -> dict[str, Any]:
    """One process killed, one started after it, and what they left."""
    table, token = WatchedTable(stages()), new_token()
    base, database = Base({"Stages": table}), folder / f"{number}.sqlite"
    for code in ("1.6.1", "1.6.10", "1.6.11"):
        table.add({"Stage Code": f"BQX-{code}", "Status": "Todo", "Assigned To": "somebody"})
    site, vault = fake.serve(base, token), _vault(folder / f"{number}.toml", token, base.id)
    how = rng.choice(("time", "before", "after"))
    delay, at = rng.uniform(0.0, 1.5), rng.randint(1, 6)
    process: list[subprocess.Popen[str]] = []

    def kill(method: str, request: int) -> str:
        if request != at:
            return ""
        process[0].kill()
        process[0].wait()
        return "cut" if how == "before" else "cut-after"

    if how != "time":
        site.fault = kill
    process.append(_start(database, vault, fake.url, CHANGES))
    assert process[0].stdout is not None
    committed = process[0].stdout.readline() == "committed\n"
    if how == "time":
        time.sleep(delay)
        process[0].kill()
    killed = process[0].wait() == -signal.SIGKILL
    while site.handled < site.requests:  # what the server had begun it ends
        time.sleep(0.01)
    in_place = sum(f.get("Status") == "Done" for f in table.records.values())
    site.fault = lambda method, request: ""
    again = _start(database, vault, fake.url, {})
    try:
        said = again.communicate(timeout=120)[0]
    finally:
        again.kill()
    problem = "the evidence was not committed" if not committed else ""
    problem = (
        problem or ("" if again.returncode == 0 else f"the second process failed: {said}") or _wrong(table, database)
    )
    shown = f"{how}:{delay:.2f}" if how == "time" else f"{how}:{at}"
    return {"how": shown, "killed": killed, "in_place": in_place, "changes": len(CHANGES), "problem": problem}


def _wrong(table: WatchedTable, database: Path) -> str:
    """What is not exactly once."""
    wanted = [{"Stage Code": "BQX-1.6.11", "Status": "Todo", "Assigned To": "somebody"}]
    for code, (notes, hours) in CHANGES.items():
        mine = {"Notes": notes, "Duration (Hours)": hours, "Status": "Done", "Outcome": code}
        wanted.append({"Stage Code": f"BQX-{code}", **mine, **({"Assigned To": "somebody"} if code != "2.1" else {})})
    if sorted(map(_text, table.records.values())) != sorted(map(_text, wanted)):
        return f"the table holds {list(table.records.values())}"
    real = Counter((e.record, e.field) for e in table.events if e.what == "write" and e.before != e.after)
    if any(n > 1 for n in real.values()):
        return f"changed more than once: {real}"
    con = sqlite3.connect(database)
    rows = con.execute("SELECT status, count(*) FROM tracker_outbox GROUP BY 1").fetchall()
    logged = con.execute("SELECT count(*), count(DISTINCT outbox_id || field) FROM tracker_log").fetchone()
    con.close()
    if rows != [("delivered", len(CHANGES))] or logged != (4 * len(CHANGES),) * 2:
        return f"the outbox says {rows}, the trail has {logged}"
    return ""


def _text(fields: dict[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True)


def _vault(path: Path, token: str, base: str) -> Path:
    path.write_text(f'airtable-token = "{token}"\nairtable-base = "{base}"\n')
    path.chmod(0o600)
    return path


def _start(database: Path, vault: Path, url: str, changes: dict[str, Any]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(database), str(vault), url, json.dumps(changes)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        text=True,
    )

"""/predict under an open-loop load, in a process of its own, while minutes pass and all models are in memory."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.soak.api_client import Seen, drive
from benchmarks.soak.api_world import RUN, World, make_world, world_span
from benchmarks.soak.state import State
from bqx.market.calendar import Calendar, month_span
from bqx.market.pairs import PAIRS
from bqx.serve.api.keys import Keys

SOURCE = Path(__file__).parents[2] / "src"
RATE, BOUND_MS = 100.0, 50.0
PAST = 0.02
"""Share of requests about a minute of the last two hours, which no answer is kept ready for."""
LEAD = 45
"""Minutes of bars that the clock has not reached when it begins; they pass while it runs."""
SLICE = 60.0


def api_load(state: State) -> dict[str, Any]:
    """`state.size` minutes at RATE requests a second over 28 pairs; each minute a trial."""
    start, end = world_span(Calendar.load(), month_span("2024_03")[0], 1, 3 * 1440 + 600)
    with tempfile.TemporaryDirectory(prefix="bqx-soak-") as folder:
        world = make_world(Path(folder) / "p", PAIRS, start, end)
        with serving(world, world.now - 60 * LEAD) as server:
            for number in range(len(state.trials), state.size):
                seen = load(server, world, seconds=SLICE, seed=state.seed * 1000 + number)
                state.add({**seen.summary(), "latency_ms": [round(1000 * x, 2) for x in seen.latency]})
                shown = {k: v for k, v in state.trials[-1].items() if k != "latency_ms"}
                print(f"minute {number}: {shown}", flush=True)
            said = server.metrics()
    return verdict(state.trials, BOUND_MS) | {"pairs": len(PAIRS), "server": said}


def verdict(trials: list[dict[str, Any]], bound_ms: float) -> dict[str, Any]:
    """Over all requests of all trials; one error fails it."""
    ms = np.array([x for t in trials for x in t["latency_ms"]])
    errors = sum(t["errors"] for t in trials)
    p50, p99, p999 = (round(float(np.percentile(ms, q)), 2) for q in (50, 99, 99.9))
    return {
        "ok": bool(errors == 0 and p99 <= bound_ms and len(ms) > 0),
        "requests": len(ms),
        "errors": errors,
        "p50_ms": p50,
        "p99_ms": p99,
        "p99_9_ms": p999,
        "max_ms": round(float(ms.max()), 2),
        "bound_ms": bound_ms,
        "rate": RATE,
        "worst_generator_late_p99_ms": max(t["generator_late_p99_ms"] for t in trials),
    }


@dataclass
class Server:
    """A `bqx serve` process, where it listens, and a key."""

    process: subprocess.Popen[bytes]
    host: str
    port: int
    key: str
    clock: Callable[[], float]

    def metrics(self) -> dict[str, float]:
        """Events, peak memory and processor time."""
        status, text = _get(self.host, self.port, "/metrics", self.key)
        lines = text.splitlines() if status == 200 else []
        events = [line.split('"') for line in lines if line.startswith("bqx_events_total{")]
        with Path(f"/proc/{self.process.pid}/status").open() as said:
            peak = next((int(line.split()[1]) for line in said if line.startswith("VmHWM")), 0)
        words = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        cpu = (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
        return {**{parts[1]: float(parts[2].strip("} ")) for parts in events}, "peak_mb": peak / 1024, "cpu_s": cpu}


@contextmanager
def serving(world: World, now: float) -> Iterator[Server]:
    """The command line's server on a free port, its clock at `now`."""
    _, key = Keys(world.root).make("load", 100_000)
    then = datetime.fromtimestamp(now, UTC).isoformat()
    code = "from bqx.cli.main import main; main()"
    command = [
        sys.executable,
        "-c",
        code,
        "-C",
        str(world.root),
        "serve",
        "--models",
        RUN,
        "--port",
        "0",
        "--as-if",
        then,
    ]
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        began = time.time()  # its clock began a little before: what is asked about the past is a minute off at most
        if not line:
            raise RuntimeError("the server did not start; its errors are above")
        host, port = line.split()[0].removeprefix("http://").strip("/").split(":")
        while _get(host, int(port), "/health")[0] != 200:
            time.sleep(0.05)
        yield Server(process, host, int(port), key, lambda: now + time.time() - began)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _get(host: str, port: int, path: str, key: str = "") -> tuple[int, str]:
    """Status 0 when nobody answers."""
    connection = HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", path, headers={"authorization": f"Bearer {key}"})
        found = connection.getresponse()
        return found.status, found.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


def load(server: Server, world: World, *, seconds: float, seed: int, rate: float = RATE) -> Seen:
    """Requests about all pairs in turn, PAST of them about an earlier minute."""
    rng = random.Random(seed)  # noqa: S311 - reproducible load

    def body(n: int) -> bytes:
        asked: dict[str, Any] = {"pair": world.pairs[n % len(world.pairs)]}
        if rng.random() < PAST:
            then = server.clock() - 60 * rng.randint(2, 120)
            asked["timestamp"] = datetime.fromtimestamp(then, UTC).isoformat()
        return json.dumps(asked).encode()

    return asyncio.run(drive(server.host, server.port, server.key, body, rate, seconds))

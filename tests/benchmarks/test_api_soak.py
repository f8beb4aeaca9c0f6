"""The small sibling of `make soak CHECK=api-load`: a real server process, the same load, a stall that must be seen."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from bqx.build.project import Project
from bqx.serve.api.assemble import Settings, make_server
from bqx.serve.api.keys import Keys
from bqx.serve.api.refresher import STATUS

soak: Any = importlib.import_module("benchmarks.soak.api_load")


@pytest.fixture(scope="module")
def world(served_world: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("load") / "p"
    shutil.copytree(served_world.root, root)
    return replace(served_world, root=root)


@pytest.fixture(scope="module")
def server(world: Any) -> Any:
    with soak.serving(world, world.now - 60 * soak.LEAD) as found:
        yield found


def trial(seen: Any) -> dict[str, Any]:
    return {**seen.summary(), "latency_ms": [1000 * x for x in seen.latency]}


def test_a_quarter_of_a_minute(server: Any, world: Any) -> None:
    """100 requests a second for 15 s, over the change of a minute or not: no error. The bound is a noisy machine's."""
    seen = soak.load(server, world, seconds=15, seed=1)
    found = soak.verdict([trial(seen)], 250.0)
    assert found["errors"] == 0, seen.statuses
    assert found["requests"] == 1500
    assert found["ok"], found
    said = server.metrics()
    assert said["cache_hits"] > 1000
    assert said["cache_misses"] > 0, "some questions had no answer ready"


def test_a_stall_is_seen(server: Any, world: Any) -> None:
    """The planted fault: the server stands still for 0.6 of 4 s. Every request due then is late, not one."""

    def stall() -> None:
        time.sleep(1.5)
        os.kill(server.process.pid, signal.SIGSTOP)
        time.sleep(0.6)
        os.kill(server.process.pid, signal.SIGCONT)

    thread = threading.Thread(target=stall)
    thread.start()
    seen = soak.load(server, world, seconds=4, seed=2)
    thread.join()
    found = soak.verdict([trial(seen)], 250.0)
    assert found["errors"] == 0
    assert not found["ok"]
    assert found["p99_ms"] > 450
    assert sum(x > 0.1 for x in seen.latency) >= 35


def test_an_error_fails_it(server: Any, world: Any) -> None:
    seen = soak.load(replace(server, key="wrong"), world, seconds=0.3, seed=3)
    found = soak.verdict([trial(seen)], 1e9)
    assert found["errors"] == found["requests"] == 30
    assert not found["ok"]
    gone = replace(server, port=Path(__file__).stat().st_size % 2 + 1)  # nothing listens on ports 1 and 2
    seen = soak.load(gone, world, seconds=0.3, seed=3)
    assert seen.statuses == {0: 30}


def test_killed_and_started_again(server: Any, world: Any) -> None:
    """kill -9 leaves whole files, and the next server says the same about the same minute."""
    then = {"pair": "eurusd", "timestamp": datetime.fromtimestamp(world.now - 7200, UTC).isoformat()}
    first = ask(f"http://{server.host}:{server.port}/", server.key, then)
    server.process.kill()
    server.process.wait(timeout=20)
    assert json.loads((world.root / STATUS).read_text())["state"] == "running"
    assert [k.label for k in Keys(world.root).list()][-1] == "load"
    project = Project.open(world.root)
    again = make_server(project, Settings("first", start=world.now)).start()
    second = ask(again.url, server.key, then)
    again.close()
    project.close()
    for part in ("horizons", "signal", "features", "model"):
        assert first[part] == second[part]
    assert json.loads((world.root / STATUS).read_text())["state"] == "ended"


def ask(url: str, key: str, body: dict[str, str]) -> dict[str, Any]:
    found = httpx.post(f"{url}predict", json=body, headers={"authorization": f"Bearer {key}"})
    assert found.status_code == 200
    return dict(found.json())

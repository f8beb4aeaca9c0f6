"""A real Dask scheduler and real worker processes on loopback, or in network namespaces; to be killed at will."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

SOURCE = Path(__file__).parents[1] / "src"
TTL = "6 seconds"
"""A worker not heard of for so long is dead to the scheduler; Dask's own five minutes are too long for tests."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Cluster:
    """`with Cluster(tmp) as c: c.worker(); bqx ... --engine c.engine`. host : the scheduler's address."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self.folder, self.host, self.port = folder, host, free_port()
        self.engine = f"dask://{host}:{self.port}"
        self.workers: list[subprocess.Popen[bytes]] = []
        folder.mkdir(parents=True, exist_ok=True)
        self._log = (folder / "log").open("ab")
        self.scheduler = self._start_scheduler()

    def _start_scheduler(self) -> subprocess.Popen[bytes]:
        made = self._run(
            ["distributed.cli.dask_scheduler", "--host", self.host, "--port", str(self.port), "--no-dashboard",
             "--no-jupyter", "--no-show"],
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                socket.create_connection((self.host, self.port), timeout=1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return made
        raise AssertionError(f"the scheduler did not start: {(self.folder / 'log').read_text()}")

    def worker(self, *, root: Path | None = None, prefix: Sequence[str] = (), **environment: str) -> int:
        """Start one of one thread; its pid. root : its project folder, where that is another than the coordinator's."""
        if root is not None:
            environment["BQX_WORKER_ROOT"] = str(root)
        at = f"tcp://{self.host}:{self.port}"
        made = self._run(
            ["distributed.cli.dask_worker", at, "--nthreads", "1", "--no-nanny", "--no-dashboard",
             "--death-timeout", "60", "--local-directory", str(self.folder)],
            prefix, environment,
        )  # fmt: skip
        self.workers.append(made)
        return made.pid

    def ready(self) -> Cluster:
        """Wait until the scheduler knows every worker that was started."""
        from distributed import Client

        made: Any = Client
        with made(f"tcp://{self.host}:{self.port}", timeout=30, set_as_default=False) as client:
            client.wait_for_workers(len(self.workers), timeout=90)
        return self

    def restart_scheduler(self) -> None:
        """Kill it and start another at the same address; workers of the old one end by themselves."""
        self.scheduler.kill()
        self.scheduler.wait()
        self.scheduler = self._start_scheduler()

    def _run(
        self, module: Sequence[str], prefix: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        settings = {
            "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": TTL,
            "DASK_DISTRIBUTED__WORKER__HEARTBEAT": "1s",
            "PYTHONPATH": str(SOURCE),
            "POLARS_MAX_THREADS": "1",
        }
        return subprocess.Popen(
            [*prefix, sys.executable, "-m", *module], env={**os.environ, **settings, **(environment or {})},
            stdout=self._log, stderr=self._log, start_new_session=True,
        )  # fmt: skip

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for process in (*self.workers, self.scheduler):
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
            process.wait()
        self._log.close()

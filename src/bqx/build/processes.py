"""The engine of spawned worker processes on this machine: one that dies costs the unit it was at."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

from bqx.build.executor import Item, Job, Json, Note, Result, Stopped, WorkerLost, drive
from bqx.build.remote import raised
from bqx.build.threads import cores

SOURCE = Path(__file__).parents[2]


class Processes:
    """`Executor` over processes that are started when first needed and kept until `close`."""

    name = "processes"

    def __init__(self, workers: int = 0, note: Note = lambda _: None) -> None:
        self.workers, self._note = cores(workers), note
        self._idle: list[_Child] = []
        self._all: set[_Child] = set()
        self._guard = threading.Lock()

    @property
    def pids(self) -> list[int]:
        """Of the processes that live."""
        with self._guard:
            return sorted(child.pid for child in self._all)

    def run(self, job: Job[Item, Result], items: Sequence[Item]) -> Generator[Result]:
        text = json.dumps(job.remote())

        def do(item: Item, emit: Callable[[Result], None], halt: threading.Event) -> None:
            child = self._take()
            if halt.is_set():  # a child taken after that was not among those that `_stop_busy` has ended
                self._drop(child)
                raise Stopped
            try:
                end = child.ask(text, json.dumps(job.pack(item)), lambda data: emit(job.unpack_result(item, data)))
            except WorkerLost:
                self._drop(child)
                if halt.is_set():
                    raise Stopped from None
                raise
            with self._guard:
                self._idle.append(child)
            if end:
                raise raised(end, f"worker process {child.pid}")

        return drive(job, items, do, slots=lambda: self.workers, note=self._note, stop=self._stop_busy)

    def close(self) -> None:
        """End all workers; one in mid-unit is killed, as a crash would."""
        with self._guard:
            doomed, self._all, self._idle = set(self._all), set(), []
        for child in doomed:
            child.end()

    def _stop_busy(self) -> None:
        with self._guard:
            busy = self._all - set(self._idle)
            self._all -= busy
        for child in busy:
            child.end()

    def _take(self) -> _Child:
        with self._guard:
            if self._idle:
                return self._idle.pop()
            child = _Child(self.workers)
            self._all.add(child)
            return child

    def _drop(self, child: _Child) -> None:
        child.end()
        with self._guard:
            self._all.discard(child)


class _Child:
    """A worker process and the pipes to it. In a session of its own: Ctrl-C is the coordinator's to handle."""

    def __init__(self, workers: int) -> None:
        path = os.pathsep.join([str(SOURCE), *filter(None, [os.environ.get("PYTHONPATH")])])
        share = str(max(cores(0) // workers, 1))  # Polars would take every core in each process
        self._process: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, "-m", "bqx.build.worker_process"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", start_new_session=True,
            env={"POLARS_MAX_THREADS": share, **os.environ, "PYTHONPATH": path},
        )  # fmt: skip
        self.pid = self._process.pid

    def ask(self, job: str, item: str, take: Callable[[Json], None]) -> Json:
        """Have an item done; how it ended. Raises WorkerLost when the process has gone."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"job": job, "item": item}) + "\n")
            self._process.stdin.flush()
            for line in self._process.stdout:
                if not line.endswith("\n"):
                    break
                data: dict[str, Any] = json.loads(line)
                if "end" in data:
                    end: Json = data["end"]
                    return end
                take(data["result"])
        except (BrokenPipeError, ValueError):
            pass  # it has died, or `end` has closed the pipe under us
        self._process.kill()
        raise WorkerLost(f"worker process {self.pid} was lost (exit code {self._process.wait()})")

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

"""The engine of a Dask cluster (extra `cluster`): the same items, results and losses, over its scheduler.

Dask pickles what it sends; of ours that is a reference to `work` below and texts of JSON, nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Generator, Sequence
from typing import Any

from bqx.base.errors import BqxError, ClusterError, Unsupported
from bqx.build.executor import Item, Job, Json, Note, Result, Stopped, WorkerLost, drive
from bqx.build.remote import make_job, perform, raised

CONNECT_SECONDS = 10.0
PATIENCE_SECONDS = 120.0
"""How long a scheduler that has gone, or its workers, may take to come back."""
COUNT_EVERY_SECONDS = 2.0


class Dask:
    """`Executor` over the scheduler at `dask://host:port` (`dask://tls://host:port` with Dask's own TLS settings).

    Raises Unsupported without the extra, ClusterError when no scheduler answers or it has no worker.
    """

    def __init__(self, address: str, note: Note = lambda _: None, *, patience: float = PATIENCE_SECONDS) -> None:
        try:
            import distributed  # noqa: F401
        except ImportError as error:
            raise Unsupported(
                "Dask is not installed", fix="pip install 'bqx[cluster]', or --engine processes"
            ) from error
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # a lost scheduler is told of by us
        self.name, self._note, self._patience = address, note, patience
        at = address.removeprefix("dask://")
        self._at = at if "://" in at else f"tcp://{at}"
        self._guard = threading.Lock()
        self._workers = 0
        self._link: _Link | None = _Link(self._at, patience)

    @property
    def workers(self) -> int:
        """Threads of all workers there are now; while the connection is made anew, those there were."""
        if (link := self._link) is not None:
            self._workers = link.threads()
        return self._workers

    def run(self, job: Job[Item, Result], items: Sequence[Item]) -> Generator[Result]:
        text = json.dumps(job.remote())

        def do(item: Item, emit: Callable[[Result], None], halt: threading.Event) -> None:
            link = self._connected(text, halt)
            seen: set[str] = set()
            order = threading.Lock()

            def take(data: Json) -> None:
                result = job.unpack_result(item, data)
                with order:
                    if job.key(result) in seen:
                        return
                    seen.add(job.key(result))
                    emit(result)

            answer = link.ask(text, json.dumps(job.pack(item)), take, halt)
            for data in answer["results"]:
                take(data)  # those whose message got lost
            if answer["end"]:
                raise raised(answer["end"], f"worker {answer['worker']}")

        return drive(job, items, do, slots=self._slots, bound=False, note=self._note)

    def close(self) -> None:
        with self._guard:
            if self._link is not None:
                self._link.close()
            self._link = None

    def _slots(self) -> int:
        """A few more than workers, so that none waits for the next item."""
        return self.workers + self.workers // 4 + 1

    def _connected(self, job: str, halt: threading.Event) -> _Link:
        """A link whose workers have made the job; a lost one is made anew while patience lasts."""
        with self._guard:
            give_up, told = time.monotonic() + self._patience, False
            while True:
                if halt.is_set():
                    raise Stopped
                if self._link is not None and not self._link.lost:
                    try:
                        self._link.prepare(job)
                        return self._link
                    except (OSError, TimeoutError):
                        self._link.lost = True
                if not told:
                    self._note(f"the connection to {self._at} was lost; trying to connect again")
                    told = True
                if self._link is not None:
                    self._link.close()
                    self._link = None
                try:
                    self._link = _Link(self._at, self._patience)
                except ClusterError:
                    if time.monotonic() > give_up:
                        raise
                    time.sleep(0.5)


class _Link:
    """One connection to a scheduler. lost : it, or what it was asked, has gone."""

    def __init__(self, address: str, patience: float) -> None:
        from distributed import Client

        self.lost, self._address, self._patience, self._prepared = False, address, patience, ""
        self._guard = threading.Lock()
        self._threads, self._asked, self._alive = 0, 0.0, time.monotonic()
        self._topic = f"bqx-{uuid.uuid4().hex}"
        self._routes: dict[str, Callable[[Json], None]] = {}
        try:
            made: Any = Client  # its methods have no types
            self._client = made(address, timeout=CONNECT_SECONDS, set_as_default=False, name="bqx")
        except (OSError, TimeoutError) as error:
            raise ClusterError(f"no scheduler answers: {error}", where=address) from error
        try:
            self._client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except (OSError, TimeoutError) as error:
            self.close()
            raise ClusterError("the scheduler has no worker", where=address, fix="start some: `dask worker`") from error
        self._client.subscribe_topic(self._topic, self._heard)

    def threads(self) -> int:
        """Of all workers there are; asked of the scheduler every two seconds at most."""
        with self._guard:
            now = time.monotonic()
            if now - self._asked > COUNT_EVERY_SECONDS:
                with contextlib.suppress(OSError, TimeoutError):  # while the scheduler is away the last count holds
                    self._threads = int(sum(self._client.nthreads().values()))
                self._asked = now
                self._alive = now if self._threads else self._alive
            return self._threads

    def prepare(self, job: str) -> None:
        """Let every worker there is make the job, which compares it with the coordinator; others do when they come."""
        if self._prepared == job:
            return
        answers: dict[str, Any] = self._client.run(prepare, job, on_error="return")
        for worker, answer in sorted(answers.items()):
            if isinstance(answer, OSError | TimeoutError):
                continue  # it has just gone; the scheduler will notice
            if isinstance(answer, BaseException):
                raise ClusterError(f"{type(answer).__name__}: {answer}", where=f"worker {worker}")
            if answer:
                raise raised(answer, f"worker {worker}")
        self._prepared = job

    def ask(self, job: str, item: str, take: Callable[[Json], None], halt: threading.Event) -> Json:
        """Have an item done; results come to `take` on the way, and all of them with the answer."""
        call = uuid.uuid4().hex
        self._routes[call] = take
        ended = threading.Event()
        try:
            future = self._client.submit(work, job, item, self._topic, call, key=f"bqx-{call}", pure=False)
            future.add_done_callback(lambda _: ended.set())
            while not ended.wait(1.0):
                if halt.is_set():
                    future.cancel()
                    raise Stopped
                if self.lost or self._client.status not in ("running", "connecting"):
                    raise WorkerLost("the connection to the scheduler was lost", blame=False)
                if self.threads() == 0 and time.monotonic() - self._alive > self._patience:
                    what = f"it has had no worker for {self._patience:.0f} s"
                    raise ClusterError(what, where=self._address, fix="start some and run it again: it goes on")
            if halt.is_set():
                raise Stopped
            return self._answer(future)
        finally:
            self._routes.pop(call, None)

    def _answer(self, future: Any) -> Json:
        from distributed import KilledWorker

        if future.status in ("finished", "error"):
            try:
                answer: Json = _unzip(future.result(timeout=CONNECT_SECONDS))
                return answer
            except KilledWorker as error:
                raise WorkerLost(str(error).split(". ")[0], final=True) from None
            except (OSError, TimeoutError, asyncio.CancelledError):
                pass
            except BqxError:
                raise
            except Exception as error:
                raise ClusterError(f"{type(error).__name__}: {error}", where=self._address) from error
        self.lost = True
        raise WorkerLost("the connection to the scheduler was lost", blame=False)

    def _heard(self, event: tuple[float, Json]) -> None:
        message = event[1]
        if (take := self._routes.get(message["call"])) is not None:
            take(_unzip(message["result"]))

    def close(self) -> None:
        self.lost = True
        self._client.close(timeout=2)


def work(job: str, item: str, topic: str, call: str) -> bytes:
    """On a worker: do an item, tell of each result at once, give back all."""
    from distributed import get_worker

    worker = get_worker()
    results: list[Json] = []

    def send(data: Json) -> None:
        results.append(data)
        worker.log_event(topic, {"call": call, "result": _zip(data)})

    end = perform(job, item, send, threading.Event())
    return _zip({"results": results, "end": end, "worker": worker.address})


async def prepare(job: str) -> Json:
    """On a worker: make the job, off the loop that tells the scheduler we live."""
    return await asyncio.to_thread(_prepare, job)


def _prepare(job: str) -> Json:
    try:
        make_job(job)
    except BqxError as error:
        return {"code": error.code, "what": error.what, "where": error.where, "fix": error.fix}
    return {}


def _zip(data: Json) -> bytes:
    return zlib.compress(json.dumps(data).encode(), 1)


def _unzip(data: bytes) -> Any:
    return json.loads(zlib.decompress(data))

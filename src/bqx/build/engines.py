"""Engines by name, and any function of bqx over one of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from bqx.base.errors import ClusterError, UsageError
from bqx.build.executor import Executor, Json, Note
from bqx.build.processes import Processes
from bqx.build.remote import named
from bqx.build.same import check_same, versions
from bqx.build.threads import Threads


def open_executor(engine: str, workers: int = 0, note: Note = lambda _: None) -> Executor:
    """`threads`, `processes` or `dask://host:port`; close it when done. workers : 0 for one a core, or all of the
    cluster's. Raises UsageError for another name, Unsupported without the extra `cluster`, ClusterError without an
    answer from there."""
    if engine == "threads":
        return Threads(workers)
    if engine == "processes":
        return Processes(workers, note)
    if engine.startswith("dask://") and engine.removeprefix("dask://"):
        from bqx.build.dask_engine import Dask

        return Dask(engine, note)
    raise UsageError(f"there is no engine {engine!r}", fix="use threads, processes or dask://host:port")


@contextmanager
def lent(engine: str | Executor, workers: int, note: Note) -> Iterator[Executor]:
    """An engine by its name for as long as it is used, or one that somebody else has opened and will close."""
    if not isinstance(engine, str):
        yield engine
        return
    executor = open_executor(engine, workers, note)
    try:
        yield executor
    finally:
        executor.close()


class Calls:
    """`Job` of one function of bqx, `module:name`: a JSON object in, a JSON object out."""

    memory = 0

    def __init__(self, function: str) -> None:
        self.function = function
        self._call: Callable[[Json], Json] = named(function)

    def run(self, item: tuple[int, Json], emit: Callable[[tuple[int, Json]], None], halt: threading.Event) -> None:
        emit((item[0], self._call(item[1])))

    def bytes(self, item: tuple[int, Json]) -> int:
        return 0

    def remote(self) -> Json:
        return {"factory": "bqx.build.engines:load", "data": {"function": self.function, "versions": versions()}}

    def pack(self, item: tuple[int, Json]) -> Json:
        return {"at": item[0], "item": item[1]}

    def unpack(self, data: Json) -> tuple[int, Json]:
        return data["at"], data["item"]

    pack_result = pack

    def unpack_result(self, item: tuple[int, Json], data: Json) -> tuple[int, Json]:
        return self.unpack(data)

    def key(self, result: tuple[int, Json]) -> str:
        return ""

    def rest(self, item: tuple[int, Json], done: Sequence[Any]) -> tuple[int, Json] | None:
        return None if done else item

    def lost(self, item: tuple[int, Json], attempts: int, why: str) -> tuple[int, Json]:
        raise ClusterError(f"{attempts} workers died over it: {why}", where=f"item {item[0]} of {self.function}")


def load(data: Json) -> Calls:
    """The job on a worker; raises WorkerMismatch when its versions are others."""
    check_same(data["versions"], versions(), "a worker")
    return Calls(data["function"])


def echo(item: Json) -> Json:
    """What it is given: to measure what an engine costs by itself."""
    return item


def map_units(
    engine: str | Executor, function: str, items: Sequence[Json], *, workers: int = 0, note: Note = lambda _: None
) -> Generator[tuple[int, Json]]:
    """(number of the item, what `function` gave for it), as they come; on any engine the same.

    function : `bqx.module:name`, from a JSON object to a JSON object. It may be called again for an item whose worker
    died, so it leaves nothing behind but its result.
    """
    with (
        lent(engine, workers, note) as executor,
        closing(executor.run(Calls(function), list(enumerate(items)))) as results,
    ):
        yield from results

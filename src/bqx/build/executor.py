"""Who does the work: the protocol every engine keeps, and the loop that feeds one and takes back what workers lost."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Json = dict[str, Any]
Note = Callable[[str], None]
DEATHS = 3
"""So many workers may die over the same unit before it is given up."""


class Job(Protocol[Item, Result]):
    """Work cut into items, each of which emits results in order; the same results wherever it runs.

    Engines in other processes make the job there from `remote` (see `bqx.build.remote`) and send items and results as
    JSON. `key` tells the results of an item apart. `rest` is what of an item is not done yet; `lost` is the result of
    its next part, given up.
    """

    memory: int
    """Bytes of items that may be at work at once on a machine, or in a worker process elsewhere; 0 for any."""

    def run(self, item: Item, emit: Callable[[Result], None], halt: threading.Event) -> None: ...
    def bytes(self, item: Item) -> int: ...
    def remote(self) -> Json: ...
    def pack(self, item: Item) -> Json: ...
    def unpack(self, data: Json) -> Item: ...
    def pack_result(self, result: Result) -> Json: ...
    def unpack_result(self, item: Item, data: Json) -> Result: ...
    def key(self, result: Result) -> str: ...
    def rest(self, item: Item, done: Sequence[Result]) -> Item | None: ...
    def lost(self, item: Item, attempts: int, why: str) -> Result: ...


class Executor(Protocol):
    """An engine. name : as given to `--engine`. workers : units that can be worked on side by side, now."""

    name: str

    @property
    def workers(self) -> int: ...

    def run(self, job: Job[Item, Result], items: Sequence[Item]) -> Generator[Result]:
        """Results as they come. A worker that dies costs what it was doing: another does that again. Raises what a
        job raises."""

    def close(self) -> None: ...


class WorkerLost(Exception):  # noqa: N818 - a signal to the loop below, not an error
    """A worker went in mid-item. blame : whether the item may be the cause; final : nobody should try it again."""

    def __init__(self, why: str, *, blame: bool = True, final: bool = False) -> None:
        super().__init__(why)
        self.blame, self.final = blame, final


class Stopped(Exception):  # noqa: N818 - a signal, not an error
    """The coordinator asked to stop."""


@dataclass(eq=False)
class _Try(Generic[Item, Result]):
    item: Item
    deaths: int = 0
    done: list[Result] = field(default_factory=list)
    over: bool = False

    def again(self, job: Job[Item, Result], lost: WorkerLost) -> tuple[list[Result], _Try[Item, Result] | None]:
        """Results given up, and what is left to try."""
        rest = job.rest(self.item, self.done)
        if rest is None:
            return [], None
        deaths = (0 if self.done else self.deaths) + lost.blame
        if not lost.final and deaths < DEATHS:
            return [], _Try(rest, deaths)
        failed = job.lost(rest, max(deaths, 1), str(lost))
        left = job.rest(rest, [failed])
        return [failed], None if left is None else _Try(left)


Do = Callable[[Item, Callable[[Result], None], threading.Event], None]


def drive(
    job: Job[Item, Result],
    items: Sequence[Item],
    do: Do[Item, Result],
    *,
    slots: Callable[[], int],
    bound: bool = True,
    note: Note = lambda _: None,
    stop: Callable[[], None] = lambda: None,
) -> Generator[Result]:
    """Run `do` for every item on `slots()` threads; items wait while with them the job's memory would be exceeded.

    do : works on one item, or raises WorkerLost. bound : False when the memory is not this machine's. note : told of
    every loss. stop : called when the loop ends.
    """
    came: queue.SimpleQueue[tuple[_Try[Item, Result], Result] | Future[None]] = queue.SimpleQueue()
    halt, memory = threading.Event(), job.memory if bound else 0
    waiting = [_Try[Item, Result](item) for item in items]
    running: dict[Future[None], _Try[Item, Result]] = {}
    pool = ThreadPoolExecutor(max(len(waiting), 1), thread_name_prefix="bqx-build")

    def work(one: _Try[Item, Result]) -> None:
        do(one.item, lambda result: came.put((one, result)), halt)

    try:
        while waiting or running:
            while waiting and len(running) < slots():
                used = sum(job.bytes(one.item) for one in running.values())
                fits = (
                    i for i, t in enumerate(waiting) if not (memory and running) or used + job.bytes(t.item) <= memory
                )
                if (at := next(fits, None)) is None:
                    break
                one = waiting.pop(at)
                future = pool.submit(work, one)
                running[future] = one
                future.add_done_callback(came.put)  # after all that the item has emitted
            found = came.get()
            if isinstance(found, tuple):
                if not found[0].over:  # a message that came after its worker was given up is of no use any more
                    found[0].done.append(found[1])
                    yield found[1]
                continue
            one = running.pop(found)
            one.over = True
            try:
                found.result()
            except WorkerLost as lost:
                given_up, left = one.again(job, lost)
                if left is not None:
                    waiting.insert(0, left)
                note(str(lost))
                yield from given_up
    finally:
        halt.set()
        stop()
        pool.shutdown(wait=True, cancel_futures=True)

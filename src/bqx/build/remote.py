"""The side of an engine that runs in another process: makes jobs from text, does items, sends results as text.

Nothing but JSON crosses, and a job's factory is named, inside bqx: no code or object travels.
"""

from __future__ import annotations

import importlib
import json
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bqx.base.errors import BqxError, ClusterError, catalogue
from bqx.base.process import keep_freed_memory
from bqx.build.executor import Job, Json


def named(name: str) -> Callable[..., Any]:
    """The function `module:name` of bqx; raises ClusterError for any other."""
    module, _, attribute = name.partition(":")
    if not module.startswith("bqx."):
        raise ClusterError(f"{name!r} is not a function of bqx", fix="only functions of bqx are run for others")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ClusterError(f"this worker has no {name}: {error}", fix="install the same bqx everywhere") from error
    return found  # type: ignore[no-any-return]


_jobs: dict[str, Job[Any, Any]] = {}
_making = threading.Lock()


def make_job(text: str) -> Job[Any, Any]:
    """The job that `text` describes, made once a process; the one before it is closed."""
    with _making:
        if text not in _jobs:
            data = json.loads(text)
            made: Job[Any, Any] = named(data["factory"])(data["data"])
            for other in _jobs.values():
                if (close := getattr(other, "close", None)) is not None:
                    close()
            _jobs.clear()
            _jobs[text] = made
        return _jobs[text]


def perform(job_text: str, item_text: str, send: Callable[[Json], None], halt: threading.Event) -> Json:
    """Do one item, sending each result as it comes; gives back {} or how it failed."""
    keep_freed_memory()
    try:
        job = make_job(job_text)
        item = job.unpack(json.loads(item_text))
        with _memory(job, job.bytes(item)):
            job.run(item, lambda result: send(job.pack_result(result)), halt)
    except BqxError as error:
        return {"code": error.code, "what": error.what, "where": error.where, "fix": error.fix}
    except Exception as error:  # noqa: BLE001 - told to the coordinator, which stops with it
        at = traceback.extract_tb(error.__traceback__)[-1]
        return {"code": ClusterError.code, "what": f"{type(error).__name__}: {error}",
                "where": f"{Path(at.filename).name}:{at.lineno}", "fix": None}  # fmt: skip
    return {}


def raised(answer: Json, worker: str) -> BqxError:
    """The error that a worker told of, of the class it was raised with."""
    kinds = {kind.code: kind for kind in catalogue()}
    where = f"{answer['where']} on {worker}" if answer["where"] else worker
    return kinds.get(answer["code"], ClusterError)(answer["what"], where=where, fix=answer["fix"])


_free = threading.Condition()
_held: list[int] = []


@contextmanager
def _memory(job: Job[Any, Any], wanted: int) -> Iterator[None]:
    """Wait while other threads of this process hold more than the job's bound with `wanted` bytes on top."""
    with _free:
        _free.wait_for(lambda: not (job.memory and _held) or sum(_held) + wanted <= job.memory)
        _held.append(wanted)
    try:
        yield
    finally:
        with _free:
            _held.remove(wanted)
            _free.notify_all()

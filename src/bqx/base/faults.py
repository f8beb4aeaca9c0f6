"""Named places where a test may kill the process, to prove that nothing is left half-written."""

from __future__ import annotations

import os
import signal
import threading

from bqx.base.errors import ConfigError

FAULT_POINTS: tuple[str, ...] = (
    "after-temp-write",
    "after-fsync",
    "after-rename",
    "before-commit",
    "after-commit",
)

SERVER_FAULT_POINTS: tuple[str, ...] = ("after-spool", "after-rows", "before-commit", "after-commit")
"""Those of a store in PostgreSQL: rows on this disk, rows sent, receipts written, all of it visible."""

OBJECT_FAULT_POINTS: tuple[str, ...] = ("before-put", "after-part", "after-put")
"""Those of files in object storage: nothing sent, a part of a long file, all of it."""

CLOUD_FAULT_POINTS: tuple[str, ...] = ("before-cloud-step", "after-cloud-call", "after-cloud-step")
"""Those of changes in the cloud: written down as begun, made, written down as done."""

_KNOWN = dict.fromkeys((*FAULT_POINTS, *SERVER_FAULT_POINTS, *OBJECT_FAULT_POINTS, *CLOUD_FAULT_POINTS))
_hits: dict[str, int] = {}
_lock = threading.Lock()


def fault(name: str) -> None:
    """Die by SIGKILL if the environment says ``BQX_FAULT=name[:n]`` and this is the n-th hit (default 1).

    A no-op without the variable. Hits are counted a process, over all threads.
    """
    if name not in _KNOWN:
        raise ValueError(f"unknown fault point {name!r}; known: {', '.join(_KNOWN)}")
    wanted = os.environ.get("BQX_FAULT")
    if not wanted:
        return
    target, _, count = wanted.partition(":")
    if target not in _KNOWN or not (count or "1").isdecimal():
        raise ConfigError(
            f"BQX_FAULT={wanted!r} is not name[:n]",
            where="environment",
            fix=f"use one of {', '.join(_KNOWN)}, or unset it",
        )
    if target != name:
        return
    with _lock:
        _hits[name] = _hits.get(name, 0) + 1
        hit = _hits[name]
    if hit == int(count or "1"):
        os.kill(os.getpid(), signal.SIGKILL)

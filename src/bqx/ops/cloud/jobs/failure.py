"""Why a job did not succeed, and whether another attempt can help."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from bqx.ops.cloud.jobs.kinds import JobKind

Cause = Literal["interrupted", "capacity", "service", "time", "stopped", "work"]
PASSES: frozenset[Cause] = frozenset({"interrupted", "capacity", "service"})
"""Causes that may be gone at the next attempt; the job's own failure is the same again."""
_CAPACITY = re.compile(r"CapacityError|insufficient capacity|no capacity", re.IGNORECASE)
_SERVICE = re.compile(r"InternalServerError|internal error of the service|please try again", re.IGNORECASE)
_SPOT = re.compile(r"interrupt|reclaim|spot", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Failure:
    cause: Cause
    reason: str

    @property
    def again(self) -> bool:
        return self.cause in PASSES


def failure_of(kind: JobKind, said: dict[str, Any]) -> Failure:
    """From the description of a job that ended otherwise than Completed.

    Managed spot training takes an interrupted job up again by itself until its waiting time is over; what comes here is
    MaxWaitTimeExceeded, or Interrupted.
    """
    status, second = str(said.get(kind.status)), str(said.get("SecondaryStatus", ""))
    reason = str(said.get("FailureReason") or said.get("ExitMessage") or second or status)
    if second in ("MaxWaitTimeExceeded", "Interrupted") or (second and _SPOT.search(second)):
        return Failure("interrupted", reason)
    if second == "MaxRuntimeExceeded" or "MaxRuntimeExceeded" in reason:
        return Failure("time", f"{reason}: raise its minutes in cloud.toml, or give it a faster instance")
    if status == "Stopped":
        return Failure("stopped", "it was stopped by somebody")
    if _CAPACITY.search(reason):
        return Failure("capacity", reason)
    if _SERVICE.search(reason):
        return Failure("service", reason)
    return Failure("work", reason)

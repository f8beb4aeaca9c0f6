"""Many jobs side by side: as many at once as are allowed, failed ones again where that can help, until a quorum."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bqx.base.errors import CloudJobsFailed, CloudQuota
from bqx.ops.cloud.aws import Aws
from bqx.ops.cloud.jobs.failure import failure_of
from bqx.ops.cloud.jobs.kinds import RUNNING, JobKind
from bqx.ops.cloud.state import CloudState

POLL_S = 20.0
QUOTA_TRIES = 30
"""Looks without any of our jobs running at which the quota is still used up, before that is an error."""
Note = Callable[[str], None]


@dataclass
class Result:
    """done : item -> description of its job. failed : item -> reason. attempts : of each item."""

    done: dict[str, dict[str, Any]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)

    def as_dict(self, kind: JobKind) -> dict[str, Any]:
        jobs = {i: d[kind.key] for i, d in self.done.items()}
        return {"done": jobs, "failed": self.failed, "attempts": self.attempts}


def job_name(prefix: str, kind: JobKind, run: str, item: str, attempt: int) -> str:
    """Up to 63 characters (32 for tuning), the same for the same attempt: that is how a killed call finds its jobs."""
    letter = {"processing": "p", "training": "t", "tuning": "h"}[kind.name]
    digest = hashlib.sha256(f"{run}/{item}".encode()).hexdigest()[:6]
    stem = f"{prefix}-{letter}{digest}"
    if kind.name == "tuning":
        return f"{stem}-{attempt}"
    words = "-".join("".join(c if c.isascii() and c.isalnum() else "-" for c in w).strip("-") for w in (item, run))
    return f"{f'{stem}-{words}'[:58].rstrip('-')}-{attempt}"


def run_jobs(
    aws: Aws,
    state: CloudState,
    kind: JobKind,
    run: str,
    asked: Mapping[str, dict[str, Any]],
    *,
    parallel: int,
    retries: int,
    quorum: float = 1.0,
    wait: bool = True,
    note: Note = lambda _: None,
) -> Result:
    """Run a job an item. asked : item -> arguments. retries : further attempts of one call where another can help.

    Called again after a kill, or after a failure, it takes up the jobs that run, keeps those that are done, and gives
    the failed ones new attempts. Raises CloudJobsFailed when fewer than the quorum succeed; CloudQuota when no job can
    be begun. Jobs that run when something is raised go on: each is bounded by its stopping condition. With `wait`
    False it returns once all are begun, without the running ones.
    """
    result = Result()
    found = {item: _attempt(aws, state, kind, run, item) for item in asked}
    attempt = {item: number for item, (number, _) in found.items()}
    last = {item: a + retries for item, a in attempt.items()}
    running = {i: job_name(state.prefix, kind, run, i, attempt[i]) for i, (_, there) in found.items() if there}
    ahead = [item for item in asked if item not in running]
    room, refused = parallel, 0
    while ahead or running:
        while ahead and len(running) < room:
            item = ahead[0]
            name = job_name(state.prefix, kind, run, item, attempt[item])
            state.note_job(run, kind.name, item, attempt[item], name, "begun")
            try:
                with state.step("submit", kind.name, name):
                    kind.begin(aws, name, asked[item])
            except CloudQuota as error:
                refused += 1
                room = max(1, len(running))
                note(f"{error.what}; going on with {room} at once")
                if not running and refused > QUOTA_TRIES:
                    raise
                break
            refused = 0
            ahead.pop(0)
            running[item] = name
            note(f"{kind.name} {item}: {name}")
        if not wait and not ahead:
            break
        ended = False
        for item, name in list(running.items()):
            ended |= _look(aws, state, kind, run, item, name, attempt, last, running, ahead, result, note)
        if (running or ahead) and not ended:
            aws.clock.sleep(POLL_S)
        elif ended:
            room = min(parallel, room + 1)  # a job ended: there may be room for one more again
    result.attempts = {i: a + 1 for i, a in attempt.items()}
    least = math.ceil(quorum * len(asked) - 1e-9)
    if wait and len(result.done) < least:
        said = "; ".join(f"{i}: {r}" for i, r in sorted(result.failed.items())[:5])
        raise CloudJobsFailed(
            f"{len(result.done)} of {len(asked)} {kind.name} jobs succeeded, {least} are needed: {said}",
            where=f"run {run}",
        )
    return result


def _look(
    aws: Aws, state: CloudState, kind: JobKind, run: str, item: str, name: str, attempt: dict[str, int],
    last: Mapping[str, int], running: dict[str, str], ahead: list[str], result: Result, note: Note,
) -> bool:  # fmt: skip
    """Whether the job of an item has ended; puts it where it belongs then."""
    said = kind.look(aws, name)
    status = "absent" if said is None else str(said[kind.status])
    if status in RUNNING:
        return False
    del running[item]
    if said is not None and status == "Completed":
        state.note_job(run, kind.name, item, attempt[item], name, "done")
        result.done[item] = said
        note(f"{kind.name} {item}: done ({len(result.done)} done, {len(running)} running, {len(ahead)} ahead)")
        return True
    if said is None:  # begun, and not there: the call before was killed between writing down and asking
        state.note_job(run, kind.name, item, attempt[item], name, "lost")
        ahead.append(item)
        return True
    why = failure_of(kind, said)
    state.note_job(run, kind.name, item, attempt[item], name, "failed", f"{why.cause}: {why.reason}"[:500])
    if why.again and attempt[item] < last[item]:
        attempt[item] += 1
        ahead.append(item)
        note(f"{kind.name} {item}: {why.cause}, again (attempt {attempt[item] + 1})")
    else:
        result.failed[item] = f"{why.cause}: {why.reason}"
        note(f"{kind.name} {item}: failed, {why.cause}: {why.reason}")
    return True


def _attempt(aws: Aws, state: CloudState, kind: JobKind, run: str, item: str) -> tuple[int, bool]:
    """The attempt to go on with, and whether its job is there: the last one unless it has failed.

    The cloud is asked, also for attempts that the state's file does not know of."""
    known = [j for j in state.jobs(run, kind.name) if j["item"] == item]
    number = known[-1]["attempt"] if known else 0
    while (said := kind.look(aws, job_name(state.prefix, kind, run, item, number))) is not None:
        if said[kind.status] in RUNNING or said[kind.status] == "Completed":
            return int(number), True
        number += 1
    return int(number), False

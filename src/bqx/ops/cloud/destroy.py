"""Takes a deployment down: all that bears our names and tag, found by listing and not by memory; jobs are stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from bqx.base.errors import CloudCredentials, CloudError, LeftBehind
from bqx.ops.cloud.apply import remove
from bqx.ops.cloud.aws import Aws
from bqx.ops.cloud.compare import Change
from bqx.ops.cloud.description import OWNER
from bqx.ops.cloud.jobs.kinds import JOB_KINDS
from bqx.ops.cloud.kinds.all import BY_NAME, KINDS
from bqx.ops.cloud.state import CloudState

Note = Callable[[str], None]
Outcome = Literal["would be removed", "removed", "not ours", "stays"]


@dataclass(frozen=True)
class Gone:
    """One thing that was found, and what became of it. reason : why it stays."""

    kind: str
    name: str
    outcome: Outcome
    reason: str = ""


def destroy(aws: Aws, state: CloudState, *, dry_run: bool = False, note: Note = lambda _: None) -> list[Gone]:
    """Last made, first removed. One refusal does not stop the rest; the state's record of steps is kept.

    Raises LeftBehind when something of ours stays, CloudCredentials at once: nothing can be done without.
    """
    out: list[Gone] = []
    for job in JOB_KINDS:
        for name in _listed(out, job.name, partial(job.listed, aws, state.prefix)):
            out.append(_one(job.name, name, dry_run, partial(job.remove, aws, state, name), note))  # noqa: PERF401
    for kind in reversed(KINDS):
        for name in _listed(out, kind.name, partial(kind.listed, aws, state.prefix)):
            out.append(_thing(aws, state, kind.name, name, dry_run, note))  # noqa: PERF401
    if dry_run:
        return out
    if not any(g.outcome == "stays" for g in out):
        out += [Gone(c.kind, c.name, "stays", "it is there again") for c in left(aws, state.prefix)]
    if stays := [g for g in out if g.outcome == "stays"]:
        said = "; ".join(f"{g.kind} {g.name}: {g.reason}" for g in stays[:5])
        raise LeftBehind(f"{len(stays)} things stay: {said}", where="the cloud account")
    state.forget()
    return out


def left(aws: Aws, prefix: str) -> list[Change]:
    """What of ours is there, but for jobs that have ended: those cost nothing."""
    out = []
    for kind in KINDS:
        for name in kind.listed(aws, prefix):
            have = kind.have(aws, name)
            if have is not None and have.owned(prefix):
                out.append(Change("delete", kind.name, name))
    return out


def _listed(out: list[Gone], kind: str, listing: Callable[[], list[str]]) -> list[str]:
    try:
        return listing()
    except CloudCredentials:
        raise
    except CloudError as error:
        out.append(Gone(kind, "*", "stays", f"cannot be listed: {error.code} {error.what}"))
        return []


def _thing(aws: Aws, state: CloudState, kind: str, name: str, dry_run: bool, note: Note) -> Gone:
    try:
        have = BY_NAME[kind].have(aws, name)
    except CloudCredentials:
        raise
    except CloudError as error:
        return Gone(kind, name, "stays", f"{error.code} {error.what}")
    untagged = have is not None and have.tags is not None and OWNER not in have.tags
    if have is None or not (have.owned(state.prefix) or (untagged and state.begun(kind, name))):
        return Gone(kind, name, "not ours", "" if have is None else f"it lacks the tag {OWNER}={state.prefix}")
    return _one(kind, name, dry_run, partial(remove, aws, state, kind, name), note)


def _one(kind: str, name: str, dry_run: bool, doing: Callable[[], None], note: Note) -> Gone:
    if dry_run:
        return Gone(kind, name, "would be removed")
    note(f"delete {kind} {name}")
    try:
        doing()
    except CloudCredentials:
        raise
    except CloudError as error:
        return Gone(kind, name, "stays", f"{error.code} {error.what}")
    return Gone(kind, name, "removed")

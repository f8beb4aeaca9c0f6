"""Makes what is wanted out of what is there, one recorded step at a time; the same call goes on after any end."""

from __future__ import annotations

from collections.abc import Callable

from bqx.base.errors import CloudConflict, CloudHalfMade
from bqx.ops.cloud.aws import Aws, MadeMeanwhile
from bqx.ops.cloud.compare import Change, change_of, unwanted
from bqx.ops.cloud.kinds.all import BY_NAME
from bqx.ops.cloud.kinds.kind import Wanted
from bqx.ops.cloud.state import CloudState

POLL_S = 15.0
PATIENCE_S = 3600.0
"""Seconds between two looks at what is being made, and until it is given up."""
Note = Callable[[str], None]


def apply(aws: Aws, state: CloudState, wanted: list[Wanted], note: Note = lambda _: None) -> list[Change]:
    """What was changed. Raises CloudConflict before anything is changed when a name is taken by something not ours,
    CloudHalfMade when something fails to come up twice."""
    first = [change_of(aws, state, w) for w in wanted]
    if foreign := [c for c in first if c.action == "not ours"]:
        c = foreign[0]
        raise CloudConflict(
            f"{len(foreign)} names are taken: {c.kind} {c.name}: {c.reason}",
            where="the cloud account",
            fix="choose another deployment.prefix; nothing was changed",
        )
    done = []
    for change in first:
        if change.want is not None and change.action != "keep":
            note(f"{change.action} {change.kind} {change.name}")
            done.append(bring(aws, state, change.want, note, change))
        elif change.want is not None:
            state.close(change.kind, change.name)
    for change in unwanted(aws, wanted, state.prefix):
        note(f"{change.action} {change.kind} {change.name}")
        remove(aws, state, change.kind, change.name)
        done.append(change)
    return done


def bring(aws: Aws, state: CloudState, want: Wanted, note: Note = lambda _: None, seen: Change | None = None) -> Change:
    """One thing to what is wanted, and wait until it is there. seen : as it was just looked at."""
    change = settled(aws, state, want) if seen is None or seen.action == "wait" else seen
    first = change
    for _ in range(2):
        if change.action == "keep":
            state.close(want.kind, want.name)
            return first
        if change.action == "not ours":
            raise CloudConflict(f"{want.kind} {want.name}: {change.reason}", where="the cloud account")
        _once(aws, state, want, change, note)
        change = settled(aws, state, want)
    if change.action == "keep":
        return first
    why = change.reason or "; ".join(map(str, change.found[:3])) or "no reason given"
    raise CloudHalfMade(
        f"{want.kind} {want.name} does not come up as wanted: {why}",
        where="the cloud account",
        fix="`bqx cloud apply` tries again, `bqx cloud destroy` removes it; until then it may cost money",
    )


def _once(aws: Aws, state: CloudState, want: Wanted, change: Change, note: Note) -> None:
    """One step towards what is wanted."""
    kind = BY_NAME[want.kind]
    if change.action == "remake":
        note(f"remake {want.kind} {want.name}: {change.reason}")
        remove(aws, state, want.kind, want.name)
    if change.action == "update":
        with state.step("update", want.kind, want.name, "; ".join(str(d.path) for d in change.found)[:500]):
            in_place = kind.update(aws, want)
        if in_place:
            return
        remove(aws, state, want.kind, want.name)
    with state.step("create", want.kind, want.name):
        try:
            kind.create(aws, want)
        except MadeMeanwhile:
            note(f"{want.kind} {want.name} was made by a try whose answer was lost")


def settled(aws: Aws, state: CloudState, want: Wanted) -> Change:
    """The thing when it is no longer being changed; CloudHalfMade when that takes too long."""
    until = aws.clock.monotonic() + PATIENCE_S
    while (change := change_of(aws, state, want)).action == "wait":
        if aws.clock.monotonic() > until:
            raise CloudHalfMade(
                f"{want.kind} {want.name} is still {change.reason} after {PATIENCE_S / 60:.0f} minutes",
                where="the cloud account",
                fix="look at it there, then run the same command again",
            )
        aws.clock.sleep(POLL_S)
    return change


def remove(aws: Aws, state: CloudState, kind: str, name: str) -> None:
    """Remove one thing and wait until it is gone. What is being made is waited for first: it cannot be removed then."""
    what = BY_NAME[kind]
    until = aws.clock.monotonic() + PATIENCE_S
    with state.step("delete", kind, name):
        asked = False
        while (have := what.have(aws, name)) is not None:
            if not asked or have.status != "busy":
                try:
                    what.delete(aws, name)
                    asked = True
                except CloudConflict:
                    if have.status != "busy":
                        raise
                if what.have(aws, name) is None:
                    return
            if aws.clock.monotonic() > until:
                raise CloudHalfMade(f"{kind} {name} does not go away: {have.reason}", where="the cloud account")
            aws.clock.sleep(POLL_S)

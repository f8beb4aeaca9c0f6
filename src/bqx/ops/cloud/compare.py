"""What is wanted against what is there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from bqx.ops.cloud.aws import Aws
from bqx.ops.cloud.description import OWNER
from bqx.ops.cloud.kinds.all import BY_NAME, KINDS
from bqx.ops.cloud.kinds.kind import Difference, Wanted, differences
from bqx.ops.cloud.state import CloudState

Action = Literal["keep", "create", "update", "remake", "wait", "delete", "not ours"]


@dataclass(frozen=True)
class Change:
    """What must be done about one thing. want : None for one that is no longer wanted."""

    action: Action
    kind: str
    name: str
    want: Wanted | None = None
    found: tuple[Difference, ...] = ()
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {"action": self.action, "kind": self.kind, "name": self.name, "reason": self.reason,
                "differences": [str(d) for d in self.found]}  # fmt: skip


def change_of(aws: Aws, state: CloudState, want: Wanted) -> Change:
    """Looks at one thing."""
    prefix = state.prefix
    have = BY_NAME[want.kind].have(aws, want.name)
    if have is None:
        return Change("create", want.kind, want.name, want)
    untagged = have.tags is not None and OWNER not in have.tags
    if not have.owned(prefix) and not (untagged and state.begun(want.kind, want.name)):
        return Change("not ours", want.kind, want.name, want, reason=f"it lacks the tag {OWNER}={prefix}")
    if have.status == "failed":
        return Change("remake", want.kind, want.name, want, reason=have.reason)
    if have.status == "busy":
        return Change("wait", want.kind, want.name, want, reason=have.reason)
    found = differences(want.values, have.values)
    if untagged:
        found.append(Difference(f"tag {OWNER}", prefix, None))
    reason = str(have.values.get("FailureReason", "")) if found else ""
    return Change("update" if found else "keep", want.kind, want.name, want, tuple(found), reason)


def unwanted(aws: Aws, wanted: Iterable[Wanted], prefix: str) -> list[Change]:
    """Things of ours that nothing wants any more, of kinds that are removed without a `destroy`; last made first."""
    names = {(w.kind, w.name) for w in wanted}
    out = []
    for kind in reversed(KINDS):
        if not kind.disposable:
            continue
        for name in kind.listed(aws, prefix):
            if (kind.name, name) in names:
                continue
            have = kind.have(aws, name)
            if have is not None and have.owned(prefix):
                out.append(Change("delete", kind.name, name, reason="no longer wanted"))
    return out


def changes(aws: Aws, state: CloudState, wanted: list[Wanted]) -> list[Change]:
    """Everything there is to do, in order; `keep` for what is as wanted."""
    return [*(change_of(aws, state, w) for w in wanted), *unwanted(aws, wanted, state.prefix)]

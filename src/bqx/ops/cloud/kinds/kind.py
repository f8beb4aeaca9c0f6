"""What every kind of thing in the cloud can do: be looked at, made, changed, removed, listed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from bqx.ops.cloud.aws import Aws
from bqx.ops.cloud.description import OWNER

Status = Literal["ready", "busy", "failed"]


@dataclass(frozen=True)
class Wanted:
    """A thing that must be there. values : compared with what the cloud says; what is not in it does not matter.

    hidden : needed to make it and never shown or stored. tags : the deployment's.
    """

    kind: str
    name: str
    values: dict[str, Any]
    tags: dict[str, str]
    hidden: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Have:
    """A thing as the cloud describes it. tags : None for a kind that cannot bear any: it is known by its name."""

    values: dict[str, Any]
    tags: dict[str, str] | None
    status: Status = "ready"
    reason: str = ""

    def owned(self, prefix: str) -> bool:
        """Ours, and not a stack's: what CloudFormation made, it alone removes."""
        if self.tags is None:
            return True
        return self.tags.get(OWNER) == prefix and not any(k.startswith("aws:cloudformation:") for k in self.tags)


class Kind(Protocol):
    """disposable : `apply` removes those that are no longer wanted."""

    @property
    def name(self) -> str: ...

    @property
    def disposable(self) -> bool: ...

    def have(self, aws: Aws, name: str) -> Have | None:
        """As it is; None when there is none."""
        ...

    def create(self, aws: Aws, want: Wanted) -> None:
        """Make it. What is half there from a try before is completed."""
        ...

    def update(self, aws: Aws, want: Wanted) -> bool:
        """Change it in place; False when it can only be removed and made again."""
        ...

    def delete(self, aws: Aws, name: str) -> None:
        """Remove it and what is in it; nothing happens when it is gone."""
        ...

    def listed(self, aws: Aws, prefix: str) -> list[str]:
        """Names of those that begin with `prefix` and a dash or slash."""
        ...


@dataclass(frozen=True, slots=True)
class Difference:
    """path : of the value. wanted, there : None where there is none."""

    path: str
    wanted: Any
    there: Any

    def __str__(self) -> str:
        return f"{self.path}: wanted {_short(self.wanted)}, is {_short(self.there)}"


def differences(wanted: Any, there: Any, path: str = "") -> list[Difference]:
    """Where `there` does not hold what is wanted; more than is wanted is no difference, but in lists."""
    if isinstance(wanted, dict) and isinstance(there, dict):
        out: list[Difference] = []
        for key, value in wanted.items():
            out += differences(value, there.get(key), f"{path}.{key}" if path else str(key))
        return out
    if isinstance(wanted, list) and isinstance(there, list) and len(wanted) == len(there):
        out = []
        for k, (a, b) in enumerate(zip(wanted, there, strict=True)):
            out += differences(a, b, f"{path}[{k}]")
        return out
    if isinstance(wanted, int | float) and isinstance(there, int | float) and not isinstance(wanted, bool):
        return [] if float(wanted) == float(there) else [Difference(path, wanted, there)]
    return [] if wanted == there else [Difference(path, wanted, there)]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."

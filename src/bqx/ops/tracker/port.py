"""What every tracker can do, and the words its adapters share."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bqx.ops.tracker.outbox import Value


class Uncertain(Exception):  # noqa: N818 - what is known, not what went wrong
    """A write that may or may not have happened: read again after `wait_s` seconds, never just repeat it."""

    def __init__(self, why: str, wait_s: float = 0.0) -> None:
        super().__init__(why)
        self.why, self.wait_s = why, wait_s


@dataclass(frozen=True, slots=True)
class Found:
    """What a tracker holds under one code: `copies` records; the fields (our names, its values) of an only one.

    handle : how the adapter finds the record again; kept in memory only, never shown.
    """

    code: str
    copies: int
    fields: Mapping[str, Value]
    handle: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Change:
    """Fields to write (our names, the tracker's values) on top of what was `found`; None makes a new record."""

    code: str
    fields: Mapping[str, Value]
    found: Found | None


class Tracker(Protocol):
    """One tracker. Codes are matched exactly: 1.6.1 is not 1.6.10, nor any other code it is part of."""

    @property
    def name(self) -> str:
        """Such as ``local``."""
        ...

    @property
    def identity(self) -> str:
        """Which one it is, such as one base of several, without its id: what was seen in another is forgotten."""
        ...

    @property
    def batch(self) -> int:
        """How many changes one write takes."""
        ...

    def probe(self) -> str:
        """Reach it, check access and schema, say in words what was reached; TrackerAccess, TrackerSchema."""
        ...

    def shown(self, code: str, fields: Mapping[str, Value]) -> dict[str, Value]:
        """Our values as the tracker will show them; TrackerSchema names what it cannot hold, and what it can."""
        ...

    def read(self, codes: Collection[str] | None = None) -> dict[str, Found]:
        """Records by code; with `codes` those only. What is absent from the answer does not exist there."""
        ...

    def write(self, changes: Sequence[Change]) -> None:
        """At most `batch` changes of different codes; other fields and records stay as they are.

        Raises Uncertain when it may not have happened, TrackerError when the tracker refused all of them.
        """
        ...


def same(one: Value, other: Value) -> bool:
    """Whether two values are one to a tracker: absent, None and "" are; 6 and 6.0 are; "6" and 6 are not."""
    if one in (None, "") or other in (None, ""):
        return one in (None, "") and other in (None, "")
    if isinstance(one, str) or isinstance(other, str):
        return one == other and isinstance(one, str) and isinstance(other, str)
    assert one is not None
    assert other is not None
    return abs(one - other) <= 1e-9 * max(1.0, abs(one), abs(other))

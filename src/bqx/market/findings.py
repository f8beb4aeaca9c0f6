"""What validation found: counts and first places, for people and for machines."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

MAX_PLACES = 5


@dataclass(frozen=True, slots=True)
class Place:
    """where: file:line; ts: UTC time of the bar; detail: the numbers that show it."""

    where: str
    ts: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """kind: stable name; action: `quarantined`, `left out`, `kept`, `sorted` or `noted`.

    places: the first few in file order.
    """

    kind: str
    count: int
    action: str
    note: str = ""
    places: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class Gaps:
    """Missing open minutes. by_length: gaps by length; fills: minutes the grid will carry (at most 5 a gap).

    holes: gaps of 6 minutes and more; unfilled: their minutes from the 6th on; longest: the longest, with its start.
    """

    by_length: dict[str, int]
    fills: int
    holes: int
    unfilled: int
    longest: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class ImportReport:
    """Report of one pair. rows = bars + quarantined + padding left out.

    first, last: ISO times (UTC); weekends: the closures spanned.
    """

    pair: str
    format: str
    price_side: str
    files: tuple[str, ...]
    rows: int
    bars: int
    quarantined: int
    first: str | None
    last: str | None
    clock: dict[str, Any]
    has_volume: bool
    has_quotes: bool
    findings: tuple[Finding, ...]
    gaps: Gaps
    weekends: tuple[str, ...]
    crossed_fields: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def count(self, kind: str) -> int:
        return sum(f.count for f in self.findings if f.kind == kind)

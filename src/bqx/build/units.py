"""A unit of work: one month of one dataset, over all pairs that need it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from bqx.build.costs import Cost

State = Literal["fresh", "missing", "stale"]


@dataclass(frozen=True, slots=True)
class Piece:
    """One partition of a unit: its row span, what the store holds of it, and why it has to be built."""

    pair: str
    first: int
    through: int
    rows: int
    input_hash: str
    state: State
    reason: str = ""


@dataclass(frozen=True)
class Unit:
    """Pieces that have to be built, and the number of those that are fresh.

    look : values computed a pair, those before the month that its first values see included. cost : forecast's basis.
    """

    dataset: str
    ym: str
    columns: tuple[str, ...]
    pieces: tuple[Piece, ...]
    fresh: int = 0
    look: int = 0
    cost: Cost | None = None
    reasons: Counter[str] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "reasons", Counter(piece.reason for piece in self.pieces))

    @property
    def name(self) -> str:
        return f"{self.dataset} {self.ym}"

    @property
    def pairs(self) -> tuple[str, ...]:
        return tuple(piece.pair for piece in self.pieces)

    @property
    def rows(self) -> int:
        return sum(piece.rows for piece in self.pieces)

    @property
    def values(self) -> int:
        return self.rows * len(self.columns)

    @property
    def computed(self) -> int:
        return self.look * len(self.pieces)

    @property
    def core_seconds(self) -> float:
        """Forecast, without loading bars."""
        return self.cost.seconds(self.computed, self.values) if self.cost else 0.0

    @property
    def bytes(self) -> int:
        return int(self.values * self.cost.bytes) if self.cost else 0

    def as_dict(self) -> dict[str, Any]:
        return {
            "dataset": self.dataset,
            "month": self.ym,
            "partitions": len(self.pieces),
            "missing": sum(piece.state == "missing" for piece in self.pieces),
            "stale": sum(piece.state == "stale" for piece in self.pieces),
            "fresh": self.fresh,
            "rows": self.rows,
            "columns": len(self.columns),
            "values": self.values,
            "core_seconds": round(self.core_seconds, 3),
            "bytes": self.bytes,
            "reasons": dict(self.reasons),
        }

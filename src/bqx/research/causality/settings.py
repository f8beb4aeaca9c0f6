"""What a causality run asks; its digest names the run, so that the same questions are the same run."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from bqx.base.errors import UsageError
from bqx.research.causality.granger import MAX_ORDER
from bqx.research.causality.resample import DRAWS
from bqx.research.causality.series import parse_kind

METHODS = ("granger", "te")
VERSION = 1
"""Raised when the same settings would give another table."""
BUDGET = 1800.0


@dataclass(frozen=True)
class Settings:
    """start, end : minutes, [start, end). known_at : the bars as they were known then (microseconds).

    features : `dataset.column` names, asked of their own pair. q : false discovery rate. support : share of the folds
    that must confirm a link. budget : core seconds for transfer entropy, in which sample size and surrogates are fixed
    beforehand at a set speed, so that no machine's haste enters the result.
    """

    pairs: tuple[str, ...]
    start: int
    end: int
    kinds: tuple[str, ...] = ("return_5",)
    methods: tuple[str, ...] = METHODS
    features: tuple[str, ...] = ()
    q: float = 0.05
    support: float = 0.6
    max_order: int = MAX_ORDER
    draws: int = DRAWS
    budget: float = BUDGET
    seed: int = 0
    known_at: int | None = None
    version: int = VERSION

    def __post_init__(self) -> None:
        for kind in self.kinds:
            parse_kind(kind)
        if unknown := sorted(set(self.methods) - set(METHODS)):
            raise UsageError(f"unknown method {unknown[0]!r}", fix=f"one of {', '.join(METHODS)}")
        if not self.kinds or not self.methods or len(set(self.kinds)) < len(self.kinds):
            raise UsageError("a causality run needs series and methods, each named once")
        if not 0 < self.q < 1 or not 0 < self.support <= 1 or not 1 <= self.max_order <= 60 or self.draws < 99:
            raise UsageError("q lies in (0, 1), support in (0, 1], the order in 1..60, bootstrap draws from 99 on")
        if self.budget <= 0 or self.start >= self.end:
            raise UsageError("a causality run needs a budget and a span that are not empty")

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Settings:
        lists = ("pairs", "kinds", "methods", "features")
        values: dict[str, Any] = {k: tuple(v) if k in lists else v for k, v in data.items()}
        return cls(**values)

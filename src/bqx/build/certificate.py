"""What was proven of a column, on which bars and for which code; and whether that still holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from bqx.features.checks import CheckResult, World
from bqx.features.declare import Column, Dataset
from bqx.market.calendar import datetime_of
from bqx.store.known import known_text

if TYPE_CHECKING:
    from bqx.build.project import Project


@dataclass(frozen=True, slots=True)
class Certificate:
    """passed, failed, short : names of checks; `short` had too little to compare through no fault of the column.
    complete : whether all checks there are were made.

    max_error : the reference check's largest relative error, None when it was not made. compared : values looked at.
    formula, version, code_hash : what the catalogue said then. data_hash, pairs, first, last : the bars.
    """

    dataset: str
    column: str
    made: datetime
    formula: str
    version: int
    code_hash: str
    data_hash: str
    pairs: tuple[str, ...]
    first: str
    last: str
    simulated: bool
    complete: bool
    compared: int
    max_error: float | None
    passed: tuple[str, ...]
    failed: tuple[str, ...]
    short: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """`passed` when all checks there are were made and passed; `failed`, `too short`, or `some checks only`."""
        if self.failed:
            return "failed"
        if self.short:
            return "too short"
        return "passed" if self.complete else "some checks only"

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "made": self.made.isoformat(timespec="seconds"), "verdict": self.verdict}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Certificate:
        known = {name: data[name] for name in cls.__slots__}
        for name in ("pairs", "passed", "failed", "short", "reasons"):
            known[name] = tuple(known[name])
        return cls(**{**known, "made": datetime.fromisoformat(data["made"])})


def make_certificate(
    home: Dataset,
    item: Column,
    results: Sequence[CheckResult],
    world: World,
    bars: str,
    now: datetime,
    simulated: bool,
    complete: bool,
) -> Certificate:
    """One column's results, on `world` whose bars have the hash `bars`."""
    errors = [r.worst for r in results if r.check == "reference" and np.isfinite(r.worst)]
    by = {outcome: tuple(r.check for r in results if r.outcome == outcome) for outcome in ("passed", "failed")}
    first, last = (f"{datetime_of(m):%Y-%m-%dT%H:%MZ}" for m in (world.span[0], world.span[1] - 1))
    return Certificate(
        dataset=home.name,
        column=item.name,
        made=now,
        formula=item.formula,
        version=home.version,
        code_hash=home.code_hash,
        data_hash=bars,
        pairs=world.pairs,
        first=first,
        last=last,
        simulated=simulated,
        complete=complete,
        compared=sum(r.compared for r in results),
        max_error=max(errors, default=None),
        passed=by["passed"],
        failed=by["failed"],
        short=tuple(r.check for r in results if r.outcome in ("too short", "no data")),
        reasons=tuple(dict.fromkeys(f"{r.check}: {r.reason}" for r in results if not r.passed)),
    )


@dataclass(frozen=True, slots=True)
class Standing:
    """A column and its latest certificate. state : `valid`, `failed`, ..., or why there is none that holds."""

    dataset: str
    column: str
    state: str
    certificate: Certificate | None

    @property
    def holds(self) -> bool:
        return self.state == "passed"

    def as_dict(self) -> dict[str, Any]:
        mine = self.certificate.as_dict() if self.certificate else None
        return {
            "dataset": self.dataset,
            "column": self.column,
            "state": self.state,
            "holds": self.holds,
            "certificate": mine,
        }


def standings(project: Project, homes: Sequence[Dataset]) -> list[Standing]:
    """Every column of the datasets with its latest certificate, or none."""
    with project.manifest.connection() as con:
        rows = con.execute('SELECT dataset, "column", result FROM certificate ORDER BY date').fetchall()
    latest = {(dataset, column): result for dataset, column, result in rows}
    out = []
    for home in homes:
        code = home.code_hash
        for item in home.columns:
            text = latest.get((home.name, item.name))
            data = json.loads(text) if text else None
            certificate = Certificate.from_dict(data) if isinstance(data, dict) else None
            out.append(Standing(home.name, item.name, _state(home, item, code, certificate), certificate))
    return out


def _state(home: Dataset, item: Column, code: str, certificate: Certificate | None) -> str:
    if certificate is None:
        return "never certified"
    if certificate.formula != item.formula:
        return "out of date: the formula changed"
    if certificate.version != home.version:
        return f"out of date: version {home.version}, certified was {certificate.version}"
    if certificate.code_hash != code:
        return "out of date: the code changed"
    return certificate.verdict


def when_text(certificate: Certificate) -> str:
    """The date as the command line shows it."""
    return known_text(int(certificate.made.timestamp() * 1e6))[:16]

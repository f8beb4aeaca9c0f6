"""Sections of a look, collected: one that fails is a finding, one that cannot judge changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bqx.base.errors import BqxError, MonitorInputError
from bqx.serve.monitor.finding import RANK, Finding

CHECKS: dict[str, frozenset[str]] = {
    "data": frozenset({"stale", "gaps", "duplicates", "flat", "spread", "clock"}),
    "service": frozenset({"errors", "budget", "latency", "service"}),
    "probe": frozenset({"probe"}),
    "parity": frozenset({"parity"}),
    "drift": frozenset({"drift", "nulls"}),
    "performance": frozenset({"loss", "coverage"}),
    "retrain": frozenset({"retrain"}),
}
"""Section -> checks it gives a verdict on."""
Part = Callable[[], tuple[list[Finding], dict[str, Any]]]
Note = Callable[[str], None]


class Look:
    """Collects sections; one that cannot judge says why and leaves its alerts as they are."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.sections: dict[str, Any] = {}
        self.judged: set[str] = {"monitor"}

    def take(self, name: str, part: Part) -> None:
        try:
            found, seen = part()
        except NotJudged as error:
            self.sections[name] = {"state": "not judged", "why": error.what}
            return
        except BqxError as error:
            self.sections[name] = {"state": "failed", "why": f"{error.code} {error.what}"}
            what = f"the monitor of {name} failed: {error.what}"
            self.findings.append(Finding("monitor", name, "warning", what))
            return
        self.findings += found
        self.judged |= CHECKS[name]
        worst = min((RANK[f.severity] for f in found), default=3)
        self.sections[name] = {"state": ("critical", "warning", "info", "good")[worst], "seen": seen}


class NotJudged(MonitorInputError):  # noqa: N818
    """Nothing to judge: no server, no models, too few days. No fault of anybody."""

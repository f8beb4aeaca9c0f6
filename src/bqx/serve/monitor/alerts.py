"""Which findings become messages: when they begin, again after a while, when they end; none while silenced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any, Literal

from bqx.base.errors import MonitorInputError
from bqx.serve.monitor.finding import RANK, Finding

RUNBOOKS = "docs/runbooks.md"
Why = Literal["new", "worse", "repeated", "resolved"]


@dataclass(frozen=True, slots=True)
class Silence:
    """Alerts whose key matches `pattern` (`drift/*`) are not sent until `until` (seconds). by, why : never empty."""

    pattern: str
    until: float
    by: str
    why: str

    def __post_init__(self) -> None:
        if not (self.pattern and self.by.strip() and self.why.strip()):
            raise MonitorInputError("a silence needs a pattern, who asked for it and why")

    def covers(self, key: str, now: float) -> bool:
        return now < self.until and fnmatchcase(key, self.pattern)


@dataclass
class Alert:
    """Something that is wrong now. began, seen, sent : seconds; sent is None while it was never sent."""

    key: str
    check: str
    subject: str
    severity: str
    what: str
    began: float
    seen: float
    count: int = 1
    sent: float | None = None
    sent_severity: str = ""

    @property
    def runbook(self) -> str:
        return f"{RUNBOOKS}#{self.check}"


@dataclass(frozen=True)
class Message:
    """What a sink gets."""

    why: Why
    key: str
    severity: str
    what: str
    began: float
    at: float
    runbook: str
    simulated: bool
    value: float | None = None
    limit: float | None = None

    def as_dict(self) -> dict[str, Any]:
        data = asdict(self)
        for name in ("began", "at"):
            data[name] = datetime.fromtimestamp(data[name], UTC).isoformat(timespec="seconds")
        return data


@dataclass
class Book:
    """All open alerts and silences; :meth:`take` is one look."""

    alerts: dict[str, Alert] = field(default_factory=dict)
    silences: list[Silence] = field(default_factory=list)

    def silenced(self, key: str, now: float) -> Silence | None:
        return next((s for s in self.silences if s.covers(key, now)), None)

    def take(
        self, findings: Sequence[Finding], now: float, *, repeat: float, simulated: bool, judged: set[str] | None = None
    ) -> list[Message]:
        """Messages of this look, most severe first.

        repeat : seconds until an alert that stays is sent again. judged : checks that gave a verdict this time; alerts
        of others stay as they are, for not having looked proves nothing. None means all.
        """
        out: list[Message] = []
        current: dict[str, Finding] = {}
        for f in sorted(findings, key=lambda f: RANK[f.severity]):
            current.setdefault(f.key, f)
        for key, f in current.items():
            alert = self.alerts.get(key)
            if alert is None:
                alert = self.alerts[key] = Alert(key, f.check, f.subject, f.severity, f.what, now, now, 0)
            alert.seen, alert.severity, alert.what, alert.count = now, f.severity, f.what, alert.count + 1
            why = self._due(alert, now, repeat)
            if why is not None and self.silenced(key, now) is None:
                alert.sent, alert.sent_severity = now, f.severity
                out.append(Message(why, key, f.severity, f.what, alert.began, now, alert.runbook, simulated,
                                   f.value, f.limit))  # fmt: skip
        for key in [k for k, a in self.alerts.items() if k not in current and (judged is None or a.check in judged)]:
            alert = self.alerts.pop(key)
            if alert.sent is not None and self.silenced(key, now) is None:
                out.append(Message("resolved", key, "info", alert.what, alert.began, now, alert.runbook, simulated))
        self.silences = [s for s in self.silences if s.until > now]
        return out

    @staticmethod
    def _due(alert: Alert, now: float, repeat: float) -> Why | None:
        if alert.sent is None:
            return "new"
        if RANK[alert.severity] < RANK[alert.sent_severity]:
            return "worse"
        return "repeated" if now - alert.sent >= repeat and alert.severity != "info" else None

    def as_dict(self) -> dict[str, Any]:
        return {"alerts": [asdict(a) for a in self.alerts.values()], "silences": [asdict(s) for s in self.silences]}

    @classmethod
    def of_dict(cls, data: dict[str, Any]) -> Book:
        """MonitorInputError when it is not what :meth:`as_dict` gives."""
        try:
            alerts = [Alert(**a) for a in data["alerts"]]
            return cls({a.key: a for a in alerts}, [Silence(**s) for s in data["silences"]])
        except (KeyError, TypeError) as error:
            raise MonitorInputError(f"the alerts cannot be read: {error}") from error

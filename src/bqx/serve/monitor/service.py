"""Service levels: error rate, P99 and how fast the error budget burns, from counters read at every look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from bqx.serve.monitor.finding import Finding, Severity

KEEP_S = 3 * 86_400.0
BURNS: tuple[tuple[float, float, float, Severity], ...] = (
    (3600.0, 300.0, 14.4, "critical"),
    (6 * 3600.0, 1800.0, 6.0, "critical"),
    (3 * 86_400.0, 6 * 3600.0, 1.0, "warning"),
)
"""Long and short window (s), burn rate that both must exceed, severity (Beyer and others 2018, The Site Reliability
Workbook, ch. 5)."""


@dataclass(frozen=True)
class ServiceLimits:
    """objective : share of requests without a 5xx. error_rate : over five minutes, critical. p99_ms : warning. least :
    requests in a window below which it is not judged."""

    objective: float = 0.999
    error_rate: float = 0.05
    p99_ms: float = 500.0
    least: int = 20


@dataclass(frozen=True, slots=True)
class Sample:
    """Counters since the server began, at a time: requests, those answered with 5xx. p99_ms : of its latest answers."""

    at: float
    requests: int
    errors: int
    p99_ms: float | None
    began: float

    @classmethod
    def of_status(cls, status: dict[str, Any]) -> Sample:
        """From `serve/status.json`."""
        latency = status["latency"]
        by_class: dict[str, int] = latency["requests"]
        p99 = latency["p99_ms"]
        return cls(float(status["written_at"]), sum(by_class.values()), int(by_class.get("5xx", 0)),
                   None if p99 is None else float(p99), float(status["began_at"]))  # fmt: skip


def window(samples: Sequence[Sample], seconds: float) -> tuple[int, int]:
    """Requests and errors counted between samples of the last `seconds`; a server that restarted began at 0."""
    requests = errors = 0
    for before, now in pairwise(samples):
        if now.at >= samples[-1].at - seconds:
            same = now.began == before.began
            requests += now.requests - (before.requests if same else 0)
            errors += now.errors - (before.errors if same else 0)
    return requests, errors


def levels(samples: Sequence[Sample], limits: ServiceLimits) -> list[Finding]:
    """Findings of the samples, in order of time; windows with fewer requests than `least` say nothing."""
    out: list[Finding] = []
    n, bad = window(samples, 300.0)
    if n >= limits.least and bad / n > limits.error_rate:
        out.append(Finding("errors", "api", "critical", f"{bad:,} of {n:,} requests in five minutes failed",
                           bad / n, limits.error_rate))  # fmt: skip
    for long, short, rate, severity in BURNS:
        burns = [_burn(samples, s, limits) for s in (long, short)]
        if all(b is not None and b > rate for b in burns):
            what = f"the error budget of {long / 3600:g} hours burns {burns[0]:.1f} times too fast"
            out.append(Finding("budget", f"api-{long / 3600:g}h", severity, what, burns[0], rate))
    recent = [s.p99_ms for s in samples if s.p99_ms is not None and s.at >= samples[-1].at - 600.0]
    if recent and min(recent) > limits.p99_ms:
        out.append(Finding("latency", "api", "warning", f"P99 was {recent[-1]:.0f} ms at every look of ten minutes",
                           recent[-1], limits.p99_ms))  # fmt: skip
    return out


def _burn(samples: Sequence[Sample], seconds: float, limits: ServiceLimits) -> float | None:
    n, bad = window(samples, seconds)
    return None if n < limits.least else bad / n / (1.0 - limits.objective)

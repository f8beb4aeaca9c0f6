"""Whether a new release may have more of the traffic: errors, latency and predictions beside the old one's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bqx.ops.cloud.description import CanarySection
from bqx.ops.cloud.shift.measure import Seen

Verdict = Literal["good", "bad", "not yet"]
ALPHA = 0.01
"""At which the new release's share of errors counts as worse than the old one's."""


@dataclass(frozen=True, slots=True)
class Judged:
    verdict: Verdict
    reasons: tuple[str, ...]


def judge(new: Seen, old: Seen | None, limits: CanarySection, alerts: Sequence[str] = ()) -> Judged:
    """Bad as soon as something is, whatever the number of requests; good only with enough of them.

    old : None when it has no traffic any more. alerts : critical ones of `bqx monitor run` that began meanwhile.
    """
    bad = [f"the monitor raised {a}" for a in alerts]
    rate = new.errors / new.requests if new.requests else 0.0
    if new.errors and rate > limits.error_rate and _surely_above(new.errors, new.requests, limits.error_rate):
        bad.append(f"{new.errors} of {new.requests} answers are server errors, the limit is {limits.error_rate:.1%}")
    elif old is not None and (p := worse(new, old)) < ALPHA:
        bad.append(f"{new.errors} of {new.requests} answers are server errors, {old.errors} of {old.requests} of the "
                   f"release before (p {p:.2g})")  # fmt: skip
    enough = new.requests >= limits.least_requests
    if enough and new.p99_ms is not None and new.p99_ms > limits.p99_ms:
        bad.append(f"P99 is {new.p99_ms:.0f} ms, the limit is {limits.p99_ms:.0f}")
    if new.drift is not None and new.drift > limits.drift:
        bad.append(f"predictions drift by {new.drift:.1f} deviations, the limit is {limits.drift}")
    if bad:
        return Judged("bad", tuple(bad))
    lacking = []
    if not enough:
        lacking.append(f"{new.requests} requests of {limits.least_requests}")
    if new.p99_ms is None:
        lacking.append("no latency yet")
    if limits.need_drift and new.drift is None:
        lacking.append("no drift figure yet")
    return Judged("not yet", tuple(lacking)) if lacking else Judged("good", ())


def worse(new: Seen, old: Seen) -> float:
    """One-sided p of Fisher's exact test that the new release errs no more often than the old one."""
    if not new.requests or not old.requests or not new.errors:
        return 1.0
    errors, total = new.errors + old.errors, new.requests + old.requests
    most = min(errors, new.requests)
    return min(1.0, math.fsum(_hypergeometric(k, total, errors, new.requests) for k in range(new.errors, most + 1)))


def _surely_above(errors: int, requests: int, rate: float) -> bool:
    """Whether so many errors are unlikely (below ALPHA) at that rate: one of three requests is no evidence."""
    below = math.fsum(
        math.exp(_choose(requests, k) + k * math.log(rate) + (requests - k) * math.log1p(-rate)) for k in range(errors)
    )
    return 1.0 - below < ALPHA


def _hypergeometric(k: int, total: int, marked: int, drawn: int) -> float:
    if drawn - k > total - marked:
        return 0.0
    return math.exp(_choose(marked, k) + _choose(total - marked, drawn - k) - _choose(total, drawn))


def _choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


WATCHED = frozenset({"parity", "drift", "nulls", "loss", "coverage", "probe"})
"""Checks of `bqx monitor run` that speak of predictions."""


def critical(latest: dict[str, Any] | None) -> frozenset[str]:
    """Critical findings of a look of `bqx monitor run` that speak of predictions."""
    found = () if latest is None else latest["findings"]
    return frozenset(str(f["key"]) for f in found if f["severity"] == "critical" and f["check"] in WATCHED)

"""One question a pair to a running server, as a client would ask it; the answers are kept for comparison."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from bqx.base.atomic import write_text
from bqx.base.errors import MonitorError
from bqx.base.secret import Secret
from bqx.serve.monitor.finding import Finding
from bqx.serve.monitor.health import HealthLimits, clock_skew

TIMEOUT = 10.0
KEPT = 200
"""Latest answers kept a pair."""
CALM = frozenset({"closed", "no_volatility"})
"""Refusals that are right answers."""


@dataclass
class Probed:
    """answers : by pair. refused : pair -> reason. clock : seconds by which the server's clock is ahead of ours."""

    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    clock: float | None = None

    def findings(self, now: float, limits: HealthLimits) -> list[Finding]:
        bad = {p: r for p, r in self.refused.items() if r not in CALM}
        out = []
        if bad:
            pair = min(bad)
            severity: Any = "critical" if not self.answers else "warning"
            out.append(Finding("probe", "api", severity, f"{len(bad)} of {len(bad) + len(self.answers)} pairs got no "
                               f"forecast, {pair}: {bad[pair]}", len(bad), 0))  # fmt: skip
        if self.clock is not None:
            skewed = clock_skew("api", now + self.clock, now, limits)
            out += [replace(f, check="probe", subject="clock") for f in skewed]
        return out


def probe(url: str, key: Secret, pairs: list[str], clock: Any) -> Probed:
    """Ask for every pair's newest forecast with its features. A server that cannot be reached is a finding."""
    if not url.startswith(("http://", "https://")):
        raise MonitorError(f"{url!r} is no http URL", where="probe.url")
    out = Probed()
    for pair in pairs:
        body = json.dumps({"pair": pair, "features": True}).encode()
        head = {"authorization": f"Bearer {key.reveal()}", "content-type": "application/json"}
        request = urllib.request.Request(url.rstrip("/") + "/predict", body, head, method="POST")  # noqa: S310 - http or https, seen above
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
                out.answers[pair] = json.loads(answer.read())
                said = answer.headers.get("date")
        except urllib.error.HTTPError as error:
            said = error.headers.get("date")
            out.refused[pair] = _reason(error)
        except (OSError, ValueError) as error:
            out.refused[pair] = f"unreachable ({type(error).__name__})"
            continue
        if said is not None and out.clock is None:
            out.clock = parsedate_to_datetime(said).timestamp() - float(clock())
    return out


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read())["error"]["reason"])
    except (ValueError, KeyError, TypeError, OSError):
        return f"status {error.code}"


def keep(folder: Path, pair: str, answer: dict[str, Any] | None) -> list[dict[str, Any]]:
    """All kept answers of a pair, with the new one; the same bar of the same model is kept once."""
    path = folder / f"{pair}.jsonl"
    kept = [json.loads(row) for row in path.read_text("utf-8").splitlines()] if path.is_file() else []
    if answer is not None:
        here = (answer["data"]["bar"], answer["model"]["digest"])
        if here not in {(a["data"]["bar"], a["model"]["digest"]) for a in kept}:
            kept = [*kept, {k: answer[k] for k in ("pair", "data", "features", "model")}][-KEPT:]
            write_text(path, "".join(json.dumps(a) + "\n" for a in kept))
    return kept

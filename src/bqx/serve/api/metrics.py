"""Counts and times of the server: Prometheus text for machines, percentiles for the console."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper edges of the latency histogram, seconds."""
KEPT = 8192
"""Latest latencies of /predict, from which percentiles are taken exactly."""


class Metrics:
    """Thread-safe; names of the series begin with `bqx_`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._events: Counter[str] = Counter()
        self._buckets = [0] * (len(BUCKETS) + 1)
        self._sum = 0.0
        self._latest: deque[float] = deque(maxlen=KEPT)

    def request(self, route: str, status: int, seconds: float) -> None:
        """One answered request; only those of /predict count for latency."""
        with self._lock:
            self._requests[(route, status)] += 1
            if route == "/predict" and status == 200:
                self._buckets[sum(edge < seconds for edge in BUCKETS)] += 1
                self._sum += seconds
                self._latest.append(seconds)

    def count(self, name: str, by: int = 1) -> None:
        """Add to an event: reloads, refresh_failures, hits, misses ..."""
        with self._lock:
            self._events[name] += by

    def summary(self) -> dict[str, Any]:
        """Requests by status class and the latest percentiles in ms, None before the first answer."""
        with self._lock:
            latest, requests = sorted(self._latest), self._requests.copy()
            events = dict(self._events)
        by_class: Counter[str] = Counter()
        for (_, status), n in requests.items():
            by_class[f"{status // 100}xx"] += n
        shown = {f"p{p}_ms": _percentile(latest, p) for p in (50, 95, 99)}
        return {"requests": dict(sorted(by_class.items())), "measured": len(latest), **shown, "events": events}

    def text(self, gauges: Mapping[str, Mapping[str, float]]) -> str:
        """Prometheus text format 0.0.4. gauges : name -> value by pair, under "" where it has no pair."""
        with self._lock:
            requests, events = sorted(self._requests.items()), sorted(self._events.items())
            buckets, total = list(self._buckets), self._sum
        out = ["# HELP bqx_requests_total Answered requests.", "# TYPE bqx_requests_total counter"]
        out += [f'bqx_requests_total{{route="{r}",status="{s}"}} {n}' for (r, s), n in requests]
        out += ["# HELP bqx_events_total What happened inside the server.", "# TYPE bqx_events_total counter"]
        out += [f'bqx_events_total{{event="{name}"}} {n}' for name, n in events]
        out += ["# HELP bqx_predict_seconds Time from headers to answer.", "# TYPE bqx_predict_seconds histogram"]
        running = 0
        for edge, n in zip((*map(str, BUCKETS), "+Inf"), buckets, strict=True):
            running += n
            out.append(f'bqx_predict_seconds_bucket{{le="{edge}"}} {running}')
        out += [f"bqx_predict_seconds_sum {total:.9f}", f"bqx_predict_seconds_count {running}"]
        for name, values in sorted(gauges.items()):
            out.append(f"# TYPE {name} gauge")
            out += [f'{name}{{pair="{pair}"}} {v}' if pair else f"{name} {v}" for pair, v in values.items()]
        return "\n".join(out) + "\n"


def _percentile(ordered: list[float], p: int) -> float | None:
    """Nearest rank, ms."""
    return round(1000 * ordered[max(0, -(-p * len(ordered) // 100) - 1)], 3) if ordered else None

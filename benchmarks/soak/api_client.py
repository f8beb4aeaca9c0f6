"""An open-loop HTTP client: requests leave by the clock, not when the last answer came, and lateness counts as latency.

A generator that waits for answers sends less the slower the server is, and so never sees its own queue (Tene's
"coordinated omission").
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

TIMEOUT = 30.0
FRESH = 8.0
"""Seconds a connection may have been idle to be used again; the server closes it after 15."""


Link = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Seen:
    """latency : seconds from when a request was due to its answer, in order of being due. late : by how much it left
    late, which is the generator's own fault. statuses : 0 for a connection that failed."""

    latency: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    connections: int = 0

    def summary(self) -> dict[str, Any]:
        ms = 1000 * np.array(self.latency or [np.nan])
        found = {f"p{q:g}_ms": round(float(np.percentile(ms, q)), 3) for q in (50, 90, 99, 99.9)}
        late = round(1000 * float(np.percentile(self.late or [np.nan], 99)), 3)
        good = self.statuses.get(200, 0)
        return {**found, "max_ms": round(float(ms.max()), 3), "requests": len(self.latency), "errors":
                len(self.latency) - good, "statuses": {str(k): v for k, v in sorted(self.statuses.items())},
                "generator_late_p99_ms": late, "connections": self.connections}  # fmt: skip


async def drive(host: str, port: int, key: str, body: Callable[[int], bytes], rate: float, seconds: float) -> Seen:
    """Send POST /predict with `body(n)` at `rate` a second, evenly but for a little jitter; wait for all answers."""
    loop, seen = asyncio.get_running_loop(), Seen()
    idle: list[tuple[float, Link]] = []
    rng = random.Random(1)  # noqa: S311 - spreads requests, guards nothing
    begin = loop.time() + 0.2
    due = [begin + (n + rng.uniform(-0.25, 0.25)) / rate for n in range(int(rate * seconds))]

    async def one(n: int) -> None:
        late, status = loop.time() - due[n], 0
        try:
            async with asyncio.timeout(TIMEOUT):
                link = _usable(idle, loop.time())
                if link is None:
                    seen.connections += 1
                    link = await asyncio.open_connection(host, port)
                status = await _ask(link, key, body(n))
                idle.append((loop.time(), link))
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            status = 0
        seen.latency.append(loop.time() - due[n])
        seen.late.append(late)
        seen.statuses[status] = seen.statuses.get(status, 0) + 1

    tasks = []
    for n, when in enumerate(due):
        if (wait := when - loop.time()) > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(one(n)))
    await asyncio.gather(*tasks)
    for _, (_, writer) in idle:
        writer.close()
    return seen


def _usable(idle: list[tuple[float, Link]], now: float) -> Link | None:
    """The connection used last, if the server cannot be about to close it; older ones are closed."""
    if idle and now - idle[-1][0] < FRESH and not idle[-1][1][0].at_eof():
        return idle.pop()[1]
    while idle:
        idle.pop()[1][1].close()
    return None


async def _ask(link: Link, key: str, body: bytes) -> int:
    reader, writer = link
    head = (f"POST /predict HTTP/1.1\r\nhost: soak\r\nauthorization: Bearer {key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n")  # fmt: skip
    writer.write(head.encode() + body)
    lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    length = next(int(line[16:]) for line in lines if line.lower().startswith(b"content-length: "))
    await reader.readexactly(length)
    return int(lines[0].split()[1])

"""A state as a prediction server writes it; `tests/serve/api` shows that servers write just these keys."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from bqx.base.atomic import write_text
from bqx.serve.api.refresher import FORMAT, STATUS


def forecast(pair: str, age: int, move: float, **more: Any) -> dict[str, Any]:
    return {"pair": pair, "bar": "2024-07-12T10:29:00+00:00", "age_bars": age, "move_bps": move, "low_bps": move - 9.5,
            "high_bps": move + 10.25, "action": "HOLD", "strength": 0.0, "horizon": 45, "reason": "no shown skill",
            "version": "1.2.0", "promoted": False} | more  # fmt: skip


def write_state(root: Path, **changes: Any) -> dict[str, Any]:
    """Three pairs: one research, one promoted and stale, one without a forecast."""
    data: dict[str, Any] = {
        "format": FORMAT,
        "state": "running",
        "pid": 4242,
        "url": "http://127.0.0.1:8080/",
        "written_at": time.time(),
        "began_at": time.time() - 3600,
        "clock": "2024-07-12T10:30:12+00:00",
        "market_opens": None,
        "source": "store",
        "simulated": True,
        "pairs": [
            forecast("eurusd", 0, 0.3468),
            forecast("gbpusd", 3, -2.5, action="SELL", strength=0.41, reason="edge above cost", promoted=True),
            {"pair": "usdjpy", "bar": None},
        ],
        "latency": {"requests": {"2xx": 12345, "4xx": 7}, "measured": 8192, "p50_ms": 1.25, "p95_ms": 3.5,
                    "p99_ms": 8.147, "events": {}},
        "alerts": [{"part": "gbpusd", "code": "BQX848", "what": "gbpusd is stale: 3 bars old"}],
    }  # fmt: skip
    data |= changes
    write_text(root / STATUS, json.dumps(data))
    return data

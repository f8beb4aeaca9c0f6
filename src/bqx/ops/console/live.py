"""What the live page shows: the state that a prediction server writes, and how old it is."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bqx.base.provenance import plain_number
from bqx.serve.api.freshness import MAX_AGE
from bqx.serve.api.refresher import FORMAT, STATUS

if TYPE_CHECKING:
    from bqx.build.project import Project

SILENT = 30.0
"""Seconds without a new state after which a server that says it runs is taken for dead."""


def live(project: Project) -> dict[str, Any]:
    """`found` is None with `why` when no server has run; `seen` is `running`, `ended` or `silent`."""
    path = project.root / STATUS
    try:
        return _shown_state(_read(path))
    except FileNotFoundError:
        why = "no prediction server has run in this project: bqx serve"
    except (ValueError, KeyError, TypeError) as error:
        why = f"{STATUS} cannot be read: {error}"
    return {"found": None, "why": why}


def _shown_state(data: dict[str, Any]) -> dict[str, Any]:
    age = time.time() - float(data["written_at"])
    seen = "silent" if data["state"] == "running" and age > SILENT else data["state"]
    rows = [_row(p) for p in data["pairs"]]
    times = {name: _shown(data["latency"][f"{name}_ms"], 1) for name in ("p50", "p95", "p99")}
    latency = {name: f"{value} ms" if value else "none yet" for name, value in times.items()}
    shown = plain_number(max(age, 0.0), 0)
    return {"found": data, "seen": seen, "age": shown, "rows": rows, "latency": latency, "why": ""}


def _read(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(path.read_text("utf-8"))
    if data["format"] != FORMAT:
        raise ValueError(f"it has format {data['format']}, this bqx knows {FORMAT}")
    return data


def _row(pair: dict[str, Any]) -> dict[str, Any]:
    if pair["bar"] is None:
        return {"pair": pair["pair"], "bar": None}
    low, high = _shown(pair["low_bps"], 2, sign=True), _shown(pair["high_bps"], 2, sign=True)
    return {
        **pair,
        "bar": pair["bar"][:16].replace("T", " "),
        "freshness": "fresh" if pair["age_bars"] <= MAX_AGE else "stale",
        "move": _shown(pair["move_bps"], 3, sign=True),
        "interval": f"{low} to {high}" if low and high else "closes before",
        "strength": _shown(pair["strength"], 2),
    }


def _shown(value: float | None, digits: int, *, sign: bool = False) -> str:
    if value is None:
        return ""
    return f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"

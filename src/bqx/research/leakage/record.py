"""What the leakage tests last found on a dataset, beside it, so that results can say whether it was tested."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bqx.base.atomic import write_text
from bqx.base.runlog import current_run
from bqx.research.leakage.result import LeakResult

NAME = "leakage.json"


def record(folder: Path, dataset_hash: str, pair: str, results: Sequence[LeakResult]) -> Path:
    """Write the results of a run of the suite into the dataset's folder; the last run stands."""
    data = {
        "dataset_hash": dataset_hash,
        "pair": pair,
        "run_id": current_run().run_id,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "results": [r.as_dict() for r in results],
    }
    path = folder / NAME
    write_text(path, json.dumps(data, indent=1, allow_nan=False) + "\n")
    return path


def recorded(folder: Path, dataset_hash: str) -> dict[str, Any] | None:
    """What was recorded for that very dataset, or None."""
    path = folder / NAME
    if not path.is_file():
        return None
    data: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return data if data.get("dataset_hash") == dataset_hash else None


def status(data: dict[str, Any] | None) -> str:
    """In words, for reports."""
    if data is None:
        return "not run"
    bad = [r["test"] for r in data["results"] if not r["ok"]]
    whole = f"{len(data['results'])} tests on {data['pair']}, {data['made_at'][:16]}"
    return f"FAILED: {', '.join(bad)} of {whole}" if bad else f"all passed: {whole}"

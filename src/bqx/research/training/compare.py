"""Runs side by side: the settings in which they differ, then what they reached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bqx.research.training.folder import LOOSE, Run
from bqx.research.training.judge import TARGETS


def compare_runs(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Rows `{"what", "values"}`, one value a run: state, differing settings, pooled skill with its interval.

    A quarantined run that nobody signed shows no skill.
    """
    heads = [run.head for run in runs]
    rows = [{"what": k, "values": [h[k] for h in heads]} for k in ("name", "state", "hash")]
    for key in sorted({k for h in heads for k in h} - {*LOOSE, "hash"}):
        values = [h.get(key) for h in heads]
        if any(v != values[0] for v in values):
            rows.append({"what": key, "values": values})
    return rows + [{"what": f"{t} skill, %", "values": [_skill(run, t) for run in runs]} for t in TARGETS]


def _skill(run: Run, target: str) -> str:
    if run.closed:
        return "quarantined"
    found = run.head["result"].get("pooled", {}).get(target)
    if found is None:
        return "none"
    return f"{100 * found['skill']:.2f} ({100 * found['low']:.2f} to {100 * found['high']:.2f})"

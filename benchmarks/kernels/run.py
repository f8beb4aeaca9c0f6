"""All cases, one after the other, in this process."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.kernels.accuracy import digits_lost, worlds
from benchmarks.kernels.bars import Lane, walk
from benchmarks.kernels.cases import CASES
from benchmarks.kernels.timing import measure
from benchmarks.machine import provenance

PAIRS = 28
PACKAGES = ("numpy", "numba", "TA-Lib", "polars", "pandas", "bottleneck", "numbagg", "hmmlearn")
SPEED_BAR = 2.0


@dataclass(frozen=True)
class Result:
    """What `results/kernels.json` holds."""

    data: dict[str, Any]

    def write(self, path: Path) -> Path:
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(self.data, indent=1) + "\n", encoding="utf-8")
        return path


def run(quick: bool, only: str, say: Callable[[str], None]) -> Result:
    """Time and digits of every case that `only` names; `quick` for a look at it."""
    rows, rounds, samples = (6_000, 3, 6) if quick else (44_000, 15, 32)
    wide, gappy = walk(rows, PAIRS), walk(rows, PAIRS, gaps=0.01)
    lanes, world = [Lane(wide, j) for j in range(PAIRS)], worlds()
    found = []
    for case in CASES:
        if only.lower() not in f"{case.group} {case.name}".lower():
            continue
        times = measure(case, wide, gappy, lanes, rounds)
        digits = digits_lost(case, world, samples)
        found.append({
            "group": case.group, "name": case.name, "values": case.values, "note": case.note,
            "times": times, "digits_lost": digits, **verdict(times),
        })  # fmt: skip
        say(line(found[-1]))
    head = provenance()
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    size = {"pairs": PAIRS, "bars": rows, "rounds": rounds, "samples": samples}
    return Result({**head, "size": size, "versions": versions, "cases": found})


def verdict(times: dict[str, dict[str, float]]) -> dict[str, Any]:
    """The fastest peer, our time over its, and whether pandas and polars are slower than us."""
    peers = {k: t["cpu_ns"] for k, t in times.items() if not k.startswith("ours") and k != "copy"}
    fastest = min(peers, key=lambda k: peers[k]) if peers else None
    ours = times["ours"]["cpu_ns"]
    return {
        "fastest_peer": fastest,
        "ratio": None if fastest is None else round(ours / peers[fastest], 2),
        "ratio_one_pair": None if fastest is None else round(times["ours, one pair"]["cpu_ns"] / peers[fastest], 2),
        "beats_frames": all(ours < peers[k] for k in ("pandas", "polars") if k in peers),
    }


def line(row: dict[str, Any]) -> str:
    """For people who wait."""
    times = " ".join(f"{k} {t['cpu_ns']:.1f}" for k, t in row["times"].items())
    lost = {k: max(v["ours"].values()) for k, v in row["digits_lost"].items()}
    flag = "" if row["ratio"] is None or (row["ratio"] <= SPEED_BAR and row["beats_frames"]) else "  SLOW"
    return f"{row['name']}: {times} | ratio {row['ratio']}{flag} | digits lost {lost}"

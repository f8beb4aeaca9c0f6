"""A year of 28 simulated pairs through every dataset there is: time, size, memory, and a full verification."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.soak.state import State
from bqx.base.process import peak_bytes
from bqx.build.project import Project
from bqx.build.run import build
from bqx.build.verify import verify
from bqx.market.calendar import month_span, months_between
from bqx.market.pairs import PAIRS
from bqx.market.simulated import simulate, simulated_source

YEAR = (month_span("2024_07")[0], month_span("2025_07")[0])
MARKET = PAIRS


def year(state: State) -> dict[str, Any]:
    """`state.size` months (at most 12 are useful), seed for the market; one trial, so nothing to resume."""
    months = months_between(*YEAR)[: state.size]
    root = Path(tempfile.mkdtemp(prefix="bqx-year-"))
    try:
        project = Project.create(root / "p", pairs=MARKET)
        clock = time.perf_counter()
        bars = 0
        for ym in months:
            start, end = month_span(ym)
            frames = simulate(project.calendar, start, end, seed=state.seed, pairs=MARKET, origin_minute=YEAR[0])
            for pair, frame in frames.items():
                project.bars.ingest(pair, frame, simulated_source(state.seed, origin_minute=YEAR[0]))
                bars += frame.height
        made = time.perf_counter() - clock
        report = build(project)
        clock = time.perf_counter()
        again = build(project)
        fresh = time.perf_counter() - clock
        clock = time.perf_counter()
        found = verify(project, recompute=20, seed=state.seed)
        checked = time.perf_counter() - clock
    finally:
        shutil.rmtree(root)
    return {
        "ok": not found.problems and again.built == 0 and not report.failures,
        "months": len(months),
        "bars": bars,
        "simulate_and_ingest_seconds": round(made, 1),
        "build": report.as_dict(),
        "core_ns_per_value": round(report.core_seconds * 1e9 / report.values, 1),
        "second_run_seconds": round(fresh, 2),
        "verify_seconds": round(checked, 1),
        "verify": found.as_dict(),
        "peak_memory_mb": round(peak_bytes() / 2**20),
    }

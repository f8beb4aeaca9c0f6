"""python -m benchmarks.build [--quick]: values a second, bytes and peak memory of a month of 28 pairs, by dataset."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from benchmarks.machine import RESULTS, ROOT, provenance
from bqx.base.process import peak_bytes
from bqx.build.choice import Choice
from bqx.build.project import Project
from bqx.build.run import build
from bqx.market.calendar import minute_of
from bqx.market.pairs import PAIRS
from bqx.market.simulated import simulate, simulated_source

MONTH = "2024_07"
START = minute_of(datetime(2024, 6, 9, tzinfo=UTC))
END = minute_of(datetime(2024, 8, 1, tzinfo=UTC))
MEMORY_BAR = 1.5


def prepare(root: Path, pairs: tuple[str, ...], end: int = END, start: int = START) -> Path:
    """A project with bars of the month and of what its longest warm-up needs before it."""
    project = Project.create(root, pairs=pairs)
    for pair in pairs:
        frames = simulate(project.calendar, start, end, seed=7, pairs=[pair], origin_minute=start)
        project.bars.ingest(pair, frames[pair], simulated_source(7, origin_minute=start))
    project.close()
    return root


def worker(root: Path, datasets: tuple[str, ...] | None, month: str, threads: int) -> dict[str, Any]:
    """Build in this process, kernels compiled beforehand, and say what it took."""
    project = Project.open(root)
    one = Choice(project.pairs[:1], datasets, first_month=month, last_month=month)
    build(project, one, threads=1)
    began = time.process_time()
    report = build(project, Choice(None, datasets, first_month=month, last_month=month), threads=threads, force=True)
    spent = time.process_time() - began
    project.close()
    return {
        "values": report.values,
        "bytes": report.bytes,
        "seconds": round(report.seconds, 3),
        "cpu_seconds": round(spent, 3),
        "fit_seconds": round(report.fit_seconds, 3),
        "fits": report.fits,
        "threads": report.threads,
        "peak_gb": round(peak_bytes() / 1e9, 3),
    }


def apart(root: Path, datasets: tuple[str, ...] | None, month: str, threads: int) -> dict[str, Any]:
    """:func:`worker` on a copy of the project, in a process of its own."""
    copy = root.with_name(f"{root.name}-copy")
    shutil.copytree(root, copy)
    names = ",".join(datasets or ())
    command = [sys.executable, "-m", "benchmarks.build", "--worker", str(copy), names, month, str(threads)]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    finally:
        shutil.rmtree(copy)
    if done.returncode != 0:
        raise SystemExit(f"building {names or 'everything'} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(folder: Path, pairs: tuple[str, ...], only: tuple[str, ...] = (), end: int = END) -> dict[str, Any]:
    """All datasets, one by one and then together."""
    from bqx.features.catalogue import own_datasets

    root = prepare(folder / "bars", pairs, end)
    rows = []
    for name, home in own_datasets().items():
        if only and name not in only:
            continue
        rows.append({"dataset": name, "columns": len(home.columns), **apart(root, (name,), MONTH, 1)})
        print(f"{name}: {rows[-1]}", file=sys.stderr)
    together = apart(root, only or None, MONTH, 0)
    return {
        **provenance(), "month": MONTH, "pairs": len(pairs), "datasets": rows, "together": together,
        "ok": all(r["peak_gb"] <= MEMORY_BAR for r in rows),
    }  # fmt: skip


def main() -> int:
    if sys.argv[1:2] == ["--worker"]:
        root, names, month, threads = sys.argv[2:]
        print(json.dumps(worker(Path(root), tuple(names.split(",")) if names else None, month, int(threads))))
        return 0
    parser = argparse.ArgumentParser(prog="python -m benchmarks.build", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="four pairs; prints, writes nothing")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bqx-bench-") as folder:
        result = measure(Path(folder), PAIRS[:4] if args.quick else PAIRS)
    if args.quick:
        print(json.dumps(result, indent=1))
        return 0
    (RESULTS / "build.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    from benchmarks.page import write_page

    print(f"written: {RESULTS / 'build.json'}, {write_page()}")
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())

"""python -m benchmarks.scaling [--quick]: time against rows, pairs, columns and threads; writes docs/scaling.md too.

Four sizes each, everything else held. Each size is built by a process of its own, kernels loaded before; seconds are
of the processor, so that others at work do not enter.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from benchmarks.build import prepare
from benchmarks.machine import RESULTS, ROOT, provenance
from bqx.market.calendar import minute_of
from bqx.market.pairs import PAIRS

MIX = ("technical_rate", "statistics_bqx", "bollinger_rate", "momentum_w60_rate", "regime_vol_rate", "regime_trend_bqx",
       "correlation_rate", "volume_bqx", "fibonacci_rate", "returns_std_bqx")  # fmt: skip
"""A tenth of each kind of work: 367 columns."""
FEW = PAIRS[:7]
MONTHS = ("2024_07", "2024_08", "2024_09", "2024_10", "2024_11", "2024_12")


@dataclass(frozen=True)
class Sizes:
    """What is built. months, pairs, datasets, threads : four sizes of each law; the others' are `base`."""

    months: tuple[int, ...] = (1, 2, 4, 6)
    pairs: tuple[int, ...] = (4, 8, 16, 28)
    datasets: tuple[int, ...] = (1, 3, 6, 10)
    threads: tuple[int, ...] = (1, 2, 3, 4)
    few: tuple[str, ...] = FEW
    many: tuple[str, ...] = PAIRS
    mix: tuple[str, ...] = MIX


def worker(options: dict[str, Any]) -> dict[str, Any]:
    """Build once to load kernels, once to measure, and once more, which finds everything there."""
    from benchmarks.soak.full_year_steps import Timed
    from bqx.build.choice import Choice
    from bqx.build.project import Project
    from bqx.build.run import build

    first, last = options["months"][0], options["months"][-1]
    names = tuple(options["datasets"])
    choice = Choice(tuple(options["pairs"]), names, first_month=first, last_month=last)
    with closing(Project.open(Path(options["root"]))) as project:
        build(project, Choice(project.pairs[:1], names, first_month=first, last_month=first), threads=1)
        engine = Timed(options["threads"])
        wall, core = time.perf_counter(), time.process_time()
        report = build(project, choice, engine=engine, force=True)
        wall, core = time.perf_counter() - wall, time.process_time() - core
        clock = time.process_time()
        build(project, choice, threads=1)
        again = time.process_time() - clock
    return {
        "values": report.values, "partitions": report.partitions, "bytes": report.bytes, "wall_seconds": round(wall, 3),
        "core_seconds": round(core, 3), "again_seconds": round(again, 3),
    }  # fmt: skip


def apart(**options: Any) -> dict[str, Any]:
    """:func:`worker` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.scaling", "--worker", json.dumps(options)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"a size failed: {options}\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(folder: Path, sizes: Sizes) -> dict[str, Any]:
    """The four laws."""
    from bqx.features.catalogue import own_datasets

    columns = {name: len(own_datasets()[name].columns) for name in sizes.mix}
    long = prepare(folder / "long", sizes.few, end=_after(MONTHS[max(sizes.months) - 1]))
    wide = prepare(folder / "wide", sizes.many)
    laws: dict[str, list[dict[str, Any]]] = {"rows": [], "pairs": [], "columns": [], "threads": []}

    def build(
        law: str,
        size: int,
        root: Path,
        pairs: Sequence[str],
        names: Sequence[str],
        *,
        months: int = 1,
        threads: int = 1,
    ) -> None:
        found = apart(root=str(root), months=MONTHS[:months], pairs=list(pairs), datasets=list(names), threads=threads)
        laws[law].append({"size": size, **found})
        print(f"{law} {size}: {found}", file=sys.stderr, flush=True)

    for months in sizes.months:
        build("rows", months, long, sizes.few, sizes.mix, months=months)
    for pairs in sizes.pairs:
        build("pairs", pairs, wide, sizes.many[:pairs], sizes.mix)
    for count in sizes.datasets:
        names = sizes.mix[:count]
        build("columns", sum(columns[n] for n in names), wide, sizes.many, names)
    for threads in sizes.threads:
        build("threads", threads, wide, sizes.many, sizes.mix, threads=threads)
    return {
        **provenance(),
        "datasets": list(sizes.mix),
        "columns": sum(columns.values()),
        "held": {"rows": f"{len(sizes.few)} pairs", "pairs": "1 month", "columns": f"1 month, {len(sizes.many)} pairs",
                 "threads": f"1 month, {len(sizes.many)} pairs"},
        "laws": {name: {"sizes": rows, **fit([r["size"] for r in rows], [r["core_seconds"] for r in rows])}
                 for name, rows in laws.items()},
    }  # fmt: skip


def fit(sizes: Sequence[float], seconds: Sequence[float]) -> dict[str, float]:
    """seconds = fixed + each * size by least squares; worst: the largest miss, of the seconds; exponent of the power
    law through the same points."""
    n = len(sizes)
    mean_x, mean_y = sum(sizes) / n, sum(seconds) / n
    across = sum((x - mean_x) ** 2 for x in sizes)
    each = sum((x - mean_x) * (y - mean_y) for x, y in zip(sizes, seconds, strict=True)) / across
    fixed = mean_y - each * mean_x
    worst = max(abs(fixed + each * x - y) / y for x, y in zip(sizes, seconds, strict=True))
    logs = [(math.log(x), math.log(y)) for x, y in zip(sizes, seconds, strict=True)]
    middle = (sum(a for a, _ in logs) / n, sum(b for _, b in logs) / n)
    power = sum((a - middle[0]) * (b - middle[1]) for a, b in logs) / sum((a - middle[0]) ** 2 for a, _ in logs)
    return {"fixed": round(fixed, 4), "each": round(each, 6), "worst": round(worst, 4), "exponent": round(power, 3)}


def _after(ym: str) -> int:
    year, month = (int(part) for part in ym.split("_"))
    return minute_of(datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC))


def main() -> int:
    if sys.argv[1:2] == ["--worker"]:
        print(json.dumps(worker(json.loads(sys.argv[2]))))
        return 0
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two datasets, few pairs; prints, writes nothing")
    args = parser.parse_args()
    quick = Sizes((1, 2), (2, 4), (1, 2), (1, 2), PAIRS[:2], PAIRS[:4], MIX[:2])
    with tempfile.TemporaryDirectory(prefix="bqx-scaling-") as folder:
        result = measure(Path(folder), quick if args.quick else Sizes())
    print(json.dumps(result, indent=1))
    if not args.quick:
        (RESULTS / "scaling.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        from benchmarks.scaling_page import write_scaling

        print(f"written: {RESULTS / 'scaling.json'}, {write_scaling()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

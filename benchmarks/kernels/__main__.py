"""python -m benchmarks.kernels [--quick] [--only WORD]: measure, write results/kernels.json and docs/benchmarks.md."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

os.environ["POLARS_MAX_THREADS"] = "1"  # one thread for everybody
os.environ.setdefault("NUMBA_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

from benchmarks.kernels.run import run
from benchmarks.machine import RESULTS
from benchmarks.page import write_page


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kernels", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer bars and rounds; prints, writes nothing")
    parser.add_argument("--only", default="", help="cases whose group or name holds this; prints, writes nothing")
    args = parser.parse_args()
    began = time.perf_counter()
    result = run(args.quick, args.only, print)
    print(f"{time.perf_counter() - began:.0f} s")
    if not args.quick and not args.only:
        print(f"written: {result.write(RESULTS / 'kernels.json')}, {write_page()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

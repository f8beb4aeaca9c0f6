"""python -m benchmarks.soak CHECK [--seed N] [--size N]: run a long check, or go on with one that was stopped."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

from benchmarks.capacity import write_capacity
from benchmarks.page import write_page
from benchmarks.soak.checks import CHECKS
from benchmarks.soak.state import State


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("check", nargs="?", choices=sorted(CHECKS), help="which check")
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=None, help="how much, see --list")
    args = parser.parse_args()
    if args.list or args.check is None:
        for name, check in sorted(CHECKS.items()):
            print(f"{name:16} {check.title} (--size {check.size} {check.unit})")
        return 0 if args.list else 2
    check = CHECKS[args.check]
    state = State.load(args.check, args.seed, args.size or check.size)
    result = check.run(state)
    path = state.finish(result)
    print(json.dumps(result, indent=2))
    print(f"{'passed' if result['ok'] else 'FAILED'}: {path}, {write_page()}, {write_capacity()}")
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())

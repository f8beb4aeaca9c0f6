"""python -m benchmarks.profile [--quick] [--pairs N]: cost of every column over a month; the forecasts' first basis."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from benchmarks.build import MONTH, prepare
from benchmarks.machine import RESULTS, ROOT, provenance
from bqx.build.choice import Choice
from bqx.build.ledger import Ledger
from bqx.build.profile import profile
from bqx.build.project import Project
from bqx.build.run import build, plan
from bqx.market.pairs import PAIRS

SHIPPED = ROOT / "src" / "bqx" / "build" / "costs.json"


def measure(folder: Path, pairs: tuple[str, ...]) -> dict[str, Any]:
    """Build once to compile, again to measure, forecast and build a third time to see how well it was forecast."""
    project = Project.open(prepare(folder / "p", pairs))
    month = Choice(None, None, first_month=MONTH, last_month=MONTH)
    build(project, Choice(pairs[:1], None, first_month=MONTH, last_month=MONTH))
    build(project, month, force=True)
    forecast, _ = plan(project, month, force=True)
    report = build(project, month, force=True)
    columns = profile(project, note=lambda name: print(name, file=sys.stderr))
    costs = Ledger(project.manifest).costs()
    project.close()
    assert costs is not None
    return {
        **provenance(),
        "pairs": len(pairs),
        "month": MONTH,
        "costs": replace(costs, origin="measured on the machine of the release").as_dict(),
        "forecast": {"seconds": round(forecast.seconds, 2), "bytes": forecast.bytes, "memory": forecast.memory},
        "took": {"seconds": round(report.seconds, 2), "bytes": report.bytes},
        "columns": [{k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(c).items()} for c in columns],
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="four pairs; prints, writes nothing")
    parser.add_argument("--pairs", type=int, default=len(PAIRS), help="the first N pairs (default all 28)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bqx-profile-") as folder:
        result = measure(Path(folder), PAIRS[: 4 if args.quick else args.pairs])
    text = json.dumps(result, indent=1) + "\n"
    if args.quick:
        print(text)
        return 0
    (RESULTS / "profile.json").write_text(text, encoding="utf-8")
    SHIPPED.write_text(json.dumps({"costs": result["costs"]}, indent=1) + "\n", encoding="utf-8")
    print(f"written: {RESULTS / 'profile.json'}, {SHIPPED}")
    print("quoted by: python -m benchmarks.cost_measured, python -m benchmarks.page, python scripts/docs.py")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""python -m benchmarks.fits: core-seconds that fits take, of a year of 28 pairs, from a month that is built."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from benchmarks.build import MONTH, prepare
from benchmarks.machine import RESULTS, provenance
from bqx.build.choice import Choice
from bqx.build.fits import list_fits
from bqx.build.project import Project
from bqx.build.run import build
from bqx.features.catalogue import own_datasets
from bqx.market.calendar import minute_of
from bqx.market.pairs import PAIRS

BAR = 60.0
START = minute_of(datetime(2024, 5, 26, 21, tzinfo=UTC))
"""The sister pair is chosen from a whole calendar month."""
A_YEAR = {"week": 52, "day": 260, "hour": 6240, "month": 12}
"""Calendar points of a year at which a fit is made."""


def measure(folder: Path, pairs: tuple[str, ...]) -> dict[str, Any]:
    """Medians of the seconds of one core a fit and pair; times pairs and the points of a year. Of fits that these pairs
    do not allow only the name is given. Only datasets with fits are built."""
    homes = [home for home in own_datasets().values() if home.fits]
    project = Project.open(prepare(folder / "p", pairs, start=START))
    build(project, Choice(None, tuple(h.name for h in homes), first_month=MONTH, last_month=MONTH), threads=1)
    rows = []
    for fit in (fit for home in homes for fit in home.fits):
        found = list_fits(project.manifest, [fit], None)
        kept = sorted(r["seconds"] for r in found if any(v is not None for v in r["parameters"].values()))
        if not kept:
            rows.append({"fit": fit.name, "dataset": fit.dataset, "made": 0})
            continue
        each = kept[len(kept) // 2]
        year = each * len(PAIRS) * A_YEAR[fit.every]
        rows.append({"fit": fit.name, "dataset": fit.dataset, "made": len(kept), "every": fit.every,
                     "ms": round(each * 1e3, 3), "core_seconds_a_year": round(year, 2)})  # fmt: skip
    project.close()
    total = round(sum(r["core_seconds_a_year"] for r in rows if r["made"]), 1)
    return {**provenance(), "month": MONTH, "pairs": len(pairs), "fits": rows, "core_seconds_a_year": total,
            "bar": BAR, "ok": total <= BAR}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fits", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two pairs; prints, writes nothing")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bqx-fits-") as folder:
        result = measure(Path(folder), PAIRS[:2] if args.quick else PAIRS)
    print(json.dumps(result, indent=1))
    if not args.quick:
        (RESULTS / "fits.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())

"""python -m benchmarks.real: the real EURUSD file with every dataset: verified, its NULLs explained."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from benchmarks.machine import RESULTS, ROOT, provenance
from bqx.base.atomic import write_text
from bqx.build.coverage import project_coverage
from bqx.build.coverage_page import coverage_report
from bqx.build.project import Project
from bqx.build.run import build
from bqx.build.verify import verify
from bqx.cli.main import main as bqx
from bqx.features.reasons import REASONS

DATA = Path(os.environ.get("BQX_REAL_DATA", ROOT.parent / "shared" / "data"))
FILE = DATA / "metatrader" / "EURUSD_M1.csv"
PAGE = ROOT / "docs" / "coverage-eurusd.md"


def measure(folder: Path, file: Path = FILE, page: Path | None = None) -> dict[str, Any]:
    """Import, build, verify, explain. ok : nothing differs from what calendar and warm-up predict, and every NULL has a
    reason."""
    bqx(["init", str(folder / "eurusd"), "--pairs", "eurusd"])
    bqx(["-C", str(folder / "eurusd"), "bars", "import", str(file)])
    project = Project.open(folder / "eurusd")
    report = build(project)
    checked = verify(project, deep=True, recompute=3)
    found = project_coverage(project)
    if page is not None:
        write_text(page, coverage_report(found, "NULL and its reasons: seven real weeks of EURUSD").markdown())
    columns = []
    for row in found.by("dataset", "column").iter_rows(named=True):
        share = {reason: round(row[reason] / row["rows"], 6) for reason in REASONS if row[reason]}
        null = round(1 - row["present"] / row["rows"], 6)
        columns.append({"column": f"{row['dataset']}.{row['column']}", "rows": row["rows"], "null": null, **share})
    total = found.total
    explained = sum(total[reason] for reason in REASONS) == total["rows"] - total["present"]
    project.close()
    return {
        **provenance(),
        "file_sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "values": report.values,
        "seconds": round(report.seconds, 2),
        "problems": checked.problems,
        "total": total,
        "columns": columns,
        "ok": explained and not checked.problems and len(columns) > 0,
    }


def main() -> int:
    argparse.ArgumentParser(prog="python -m benchmarks.real", description=__doc__).parse_args()
    with tempfile.TemporaryDirectory(prefix="bqx-real-") as folder:
        result = measure(Path(folder), page=PAGE)
    (RESULTS / "real.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({k: v for k, v in result.items() if k != "columns"}, indent=1))
    print(f"written: {RESULTS / 'real.json'}, {PAGE}")
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())

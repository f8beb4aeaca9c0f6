"""Write the pages that are generated from code; `--check` fails when one on disk differs."""

from __future__ import annotations

import sys
from pathlib import Path

from bqx.features.catalogue import count, own_datasets
from bqx.features.declare import Column, Dataset

ROOT = Path(__file__).parent.parent
TYPES = {"f4": "float32", "f8": "float64", "i2": "int16", "i4": "int32"}


def features_page() -> str:
    """The catalogue as Markdown."""
    homes = list(own_datasets().values())
    sizes = count(homes)
    lines = [
        "# Features",
        "",
        "Generated from the catalogue by `make docs`; do not edit.",
        "",
        f"{sizes['columns']} columns in {sizes['datasets']} datasets: {sizes['counted']} counted, "
        f"{sizes['auxiliary']} auxiliary. t is the current bar; a value stamped t is usable from t + 60 s. Warm-up is "
        "composed from the primitives of a column, in bars. SEG windows lie in one trading week, XGAP windows reach "
        "across closures without the gap. `level` columns move with T0; `zero_ok` columns may be exactly 0.",
    ]
    for home in homes:
        lines += ["", f"## {home.name}", "", f"{home.summary} Stage {home.stage}.", ""]
        lines += ["| Column | Formula | Unit | Type | Policy | Warm-up | Notes |", "|---|---|---|---|---|---:|---|"]
        lines += [_row(home, item) for item in home.columns]
    return "\n".join(lines) + "\n"


def _row(home: Dataset, item: Column) -> str:
    notes = [f"`{tag}`" for tag in sorted(item.tags)]
    if item.alias_of:
        notes.append(f"same as {item.alias_of}")
    cells = [f"`{item.name}`", item.formula, item.unit, TYPES[item.dtype], item.policy, str(item.warmup)]
    return "| " + " | ".join([*(c.replace("|", "\\|") for c in cells), ", ".join(notes)]) + " |"


PAGES = {"docs/features.md": features_page}


def main(arguments: list[str]) -> int:
    stale = []
    for name, make in PAGES.items():
        path, text = ROOT / name, make()
        if "--check" in arguments:
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"{name} is stale: run `make docs`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

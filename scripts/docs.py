"""Write the pages that are generated from code; `--check` fails when one on disk differs.

Plots are compared by the values they show, in tests/ops/test_docs_pages.py.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bqx.features.catalogue import built_in, own_datasets
from bqx.ops.catalogue_page import catalogue_page
from bqx.ops.family_page import families, family_page, index_page

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PROFILES = [ROOT / "benchmarks" / "results" / f"{name}.json" for name in ("profile", "extension_costs")]


def measured() -> dict[tuple[str, str], dict[str, Any]]:
    """Cost of each column, by `python -m benchmarks.profile`."""
    rows = [row for path in PROFILES if path.exists() for row in json.loads(path.read_text("utf-8"))["columns"]]
    return {(row["dataset"], row["column"]): row for row in rows}


def pages() -> dict[str, str]:
    """Path under docs -> text."""
    homes, costs = list(built_in().values()), measured()
    out = {"features.md": index_page(homes), "catalogue.html": catalogue_page(homes, costs)}
    for family, members in families(homes).items():
        out[f"features/{family}.md"] = family_page(family, members, costs)
    return out


def stale() -> list[str]:
    """Pages that differ from what they would be, and files that no family has."""
    made = pages()
    wrong = [
        name
        for name, text in made.items()
        if not (DOCS / name).is_file() or (DOCS / name).read_text(encoding="utf-8") != text
    ]
    known = {*made, *(f"features/plots/{home}.svg" for home in own_datasets())}
    found = {p.relative_to(DOCS).as_posix() for p in (DOCS / "features").rglob("*") if p.is_file()}
    return sorted({*wrong, *(found - known), *(name for name in known if not (DOCS / name).is_file())})


def write() -> None:
    from bqx.ops.family_plot import family_plot, plot_mark, plot_values

    made = pages()
    (DOCS / "features" / "plots").mkdir(parents=True, exist_ok=True)
    for name, text in made.items():
        (DOCS / name).write_text(text, encoding="utf-8")
    for name, home in own_datasets().items():
        path, values = DOCS / "features" / "plots" / f"{name}.svg", plot_values(home)
        if not path.exists() or plot_mark(values) not in path.read_text(encoding="utf-8"):
            print(f"drawing {name}", file=sys.stderr)
            path.write_text(family_plot(home, values), encoding="utf-8")
    for name in stale():
        (DOCS / name).unlink()


def main(arguments: list[str]) -> int:
    if "--check" not in arguments:
        write()
        return 0
    wrong = stale()
    for name in wrong:
        print(f"docs/{name} is stale: run `make docs`", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The catalogue as one HTML page that can be searched and loads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bqx.features.catalogue import count
from bqx.features.declare import Dataset
from bqx.ops.family_page import notes

CostOf = Mapping[tuple[str, str], Mapping[str, Any]]
"""(dataset, column) -> a row of `bqx build run --profile`."""


def catalogue_page(homes: Sequence[Dataset], costs: CostOf) -> str:
    """A row a column; words typed into the page narrow it down."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    sizes = count([home for home in homes if not home.extension])
    wider = [home for home in homes if home.extension]
    more = (
        f" {sum(len(h.columns) for h in wider):,} columns in {len(wider)} datasets more are extensions."
        if wider
        else ""
    )
    rows = [
        {
            "dataset": home.name,
            "family": home.family,
            "column": item.name,
            "formula": item.formula,
            "unit": item.unit,
            "policy": item.policy,
            "warmup": f"{item.warmup:,}",
            "cost": f"{found['compute_ns']:.1f}" if (found := costs.get((home.name, item.name))) else "",
            "source": item.source,
            "notes": [*notes(item), *["extension"] * home.extension],
        }
        for home in homes
        for item in home.columns
    ]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("catalogue.html.j2").render(
        sizes=f"{sizes['columns']:,} columns in {sizes['datasets']} datasets: {sizes['counted']:,} counted, "
        f"{sizes['auxiliary']:,} auxiliary.{more}",
        datasets=[home.name for home in homes],
        rows=rows,
    )

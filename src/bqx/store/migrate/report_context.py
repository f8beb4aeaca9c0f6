"""What a migration stands in: the catalogue's counts with their check sums, and the stages it lets begin."""

from __future__ import annotations

from collections import defaultdict

from bqx.base.provenance import computed
from bqx.base.report import Cell, Heading, Report, Table
from bqx.features.catalogue import count, own_datasets
from bqx.market.pairs import PAIRS

HOW = "the catalogue of columns"
MONTHS = 12


def count_validation(report: Report) -> None:
    """Columns and tables by domain; CheckError when lines and totals disagree."""
    homes = [h for h in own_datasets().values() if h.counted]
    totals = count(homes)
    by_domain: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for home in homes:
        line = by_domain[home.domain]
        line[0] += 1
        line[1] += len(home.columns)
        line[2] += len(home.columns) if home.inherited else 0
    rows: list[list[Cell]] = [
        [
            domain,
            computed(sets, "", HOW),
            computed(columns, "", HOW),
            computed(old, "", HOW),
            computed(sets * len(PAIRS) * MONTHS, "", "datasets x pairs x 12 months"),
        ]
        for domain, (sets, columns, old) in sorted(by_domain.items())
    ]
    tables = len(homes) * len(PAIRS) * MONTHS
    rows.append(
        [
            "Total",
            computed(len(homes), "", HOW),
            computed(totals["counted"], "", HOW),
            computed(totals["inherited"], "", HOW),
            computed(tables, "", "datasets x pairs x 12 months"),
        ]
    )
    report.require_sum("datasets", [v[0] for v in by_domain.values()], len(homes))
    report.require_sum("columns", [v[1] for v in by_domain.values()], totals["counted"])
    report.require_sum("inherited columns", [v[2] for v in by_domain.values()], totals["inherited"])
    report.add(Heading("Count validation"))
    report.add(
        Table(
            ["Domain", "Datasets with counted columns", "Counted columns", "of them inherited", "Partitions a year"],
            rows,
            "The catalogue; lines add up to the totals, or this report would not exist",
        )
    )


def unblocked(report: Report) -> None:
    """Stages whose datasets could not be built before, with their columns and partitions."""
    stages: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for home in own_datasets().values():
        if home.counted and not home.inherited and home.stage:
            stages[home.stage][0] += 1
            stages[home.stage][1] += len(home.columns)
    rows: list[list[Cell]] = [
        [
            stage,
            computed(sets, "", HOW),
            computed(columns, "", HOW),
            computed(sets * len(PAIRS) * MONTHS, "", "datasets x pairs x 12 months"),
        ]
        for stage, (sets, columns) in sorted(stages.items(), key=lambda item: _order(item[0]))
    ]
    total = sum(columns for _, columns in stages.values())
    counted = count([h for h in own_datasets().values() if h.counted])
    report.require_sum("columns of stages", [v[1] for v in stages.values()], counted["counted"] - counted["inherited"])
    rows.append(
        [
            "Total",
            computed(sum(s for s, _ in stages.values()), "", HOW),
            computed(total, "", HOW),
            computed(sum(s for s, _ in stages.values()) * len(PAIRS) * MONTHS, "", "datasets x pairs x 12 months"),
        ]
    )
    report.add(Heading("Unblocked work"))
    report.add(Table(["Stage", "Datasets", "Columns", "Partitions a year"], rows, "Stages that need the new names"))


def _order(stage: str) -> tuple[tuple[int, str], ...]:
    out = []
    for part in stage.split("."):
        digits = "".join(c for c in part if c.isdigit())
        out.append((int(digits or 0), part))
    return tuple(out)

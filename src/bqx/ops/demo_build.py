"""The page's account of the build: by phase, by dataset, and what verification compared."""

from __future__ import annotations

from collections.abc import Sequence

from bqx.base.provenance import Number, Source, computed
from bqx.base.report import Badge, Cell, Heading, Note, Report, Table, Text
from bqx.ops.demo_facts import Facts


def build_section(report: Report, facts: Facts) -> None:
    """Phases, throughput by dataset, verification; failures and problems by name."""
    made, checked = facts.build, facts.verification
    report.add(
        Heading("Build and verification"),
        Table(
            ["phase", "seconds", "what it did"],
            [[p.name, computed(p.seconds, "", "wall clock", digits=1), p.did] for p in facts.phases],
            caption="Phases, wall clock; compilation of the kernels, once a machine, is in them",
        ),
        Table(
            ["dataset", "rows", "values", "MB", "bytes a value", "core s", "values a core s", "built by run"],
            [_dataset(facts, name) for name in facts.datasets],
            caption=f"Throughput of the build by dataset, {made.threads} threads",
        ),
        Text(
            f"{made.partitions:,} partitions were built by this run and {made.fresh:,} were fresh. "
            "Core seconds cover loading, computing, hashing, writing and syncing."
        ),
    )
    for failure in made.failures:
        report.add(Note(f"Failed: {failure['dataset']} {failure['month']}: {failure['reason']}.", "bad"))
    how = "bqx build verify"
    counts = [checked.partitions, checked.values, checked.non_null, checked.recomputed, len(checked.problems)]
    report.add(
        Table(
            ["partitions", "values", "not NULL", "computed again", "problems", "verdict"],
            [
                [
                    *(computed(n, "", how) for n in counts),
                    Badge("problems found", "bad") if checked.problems else Badge("as predicted", "good"),
                ]
            ],
            caption="Verification: rows against the calendar, NULLs against warm-up and gaps, files against hashes",
        )
    )
    for problem in checked.problems[:20]:
        report.add(Note(f"{problem['partition']}: {problem['what']}.", "bad"))


def _dataset(facts: Facts, name: str) -> Sequence[Cell]:
    parts = facts.of(name)
    units = [unit for unit in facts.units if unit.dataset == name]
    rows = sum(p.rows for p in parts)
    values = sum(p.rows * len(p.columns) for p in parts)
    size = sum({piece.path: piece.bytes for p in parts for piece in p.pieces}.values())
    width = max(len(p.columns) for p in parts)
    seconds = sum(unit.seconds for unit in units)
    timed = sum(unit.rows for unit in units) * width
    runs = sorted({unit.run_id for unit in units})
    source = Source(" and ".join(runs) or "none", f"units of {name}, as timed when they were built")
    how = f"manifest, partitions of {name}"
    return [
        name,
        computed(rows, "", how),
        computed(values, "", how),
        computed(size / 1e6, "", how, digits=1),
        computed(size / values, "", how, digits=2),
        Number(seconds if units else None, "", source, 2, "not timed"),
        Number(timed / seconds if seconds else None, "", source, 0, "not timed"),
        " and ".join(runs) if runs else "unknown",
    ]

"""The page's summary of what validation found in the bars."""

from __future__ import annotations

from collections.abc import Sequence

from bqx.base.provenance import computed
from bqx.base.report import Badge, Cell, Heading, Report, Table, Text, Tone
from bqx.ops.demo_facts import Facts

KINDS = {
    "crossed quote": "bid above ask",
    "order violation": "low above, or high below, open or close",
    "exact duplicate": "a minute twice, the same",
    "conflicting duplicate": "a minute twice, with other values",
    "disorder": "stamped earlier than the line before",
    "outside market hours": "between Friday and Sunday 17:00 New York, or on a holiday",
    "off-minute stamp": "not on a whole minute",
    "jump": "1-minute return beyond 10 robust sigmas or 2 %",
}
"""Looked for in every source, and shown when nothing was found too."""


def validation_section(report: Report, facts: Facts) -> None:
    """Two tables: findings by kind over all sources, and a row a source."""
    report.add(
        Heading("Validation of the bars"),
        Text(
            "Nothing is repaired in silence and nothing is lost: a row that cannot be a bar goes to the quarantine "
            "with its reason, the rest is kept and counted."
            + (" The simulated bars went through the same validation as files do." if facts.simulation else "")
        ),
        Table(
            ["finding", "count", "pairs", "what became of them", "what it is"],
            _by_kind(facts),
            caption="By kind",
        ),
        Table(
            [
                "pair",
                "rows",
                "bars",
                "quarantined",
                "findings",
                "carried",
                "empty",
                "holes",
                "longest, min",
                "clock",
                "closes",
            ],
            [_source(facts, k) for k in range(len(facts.reports))],
            caption="By pair: minutes carried (5 in a row at most), left empty; weekly closes that bear out the clock",
        ),
    )
    for r in facts.reports:
        report.require_sum(
            f"rows of {r.pair}", [r.bars, *(f.count for f in r.findings if f.action == "quarantined")], r.rows
        )


def _by_kind(facts: Facts) -> list[Sequence[Cell]]:
    found = {f.kind for r in facts.reports for f in r.findings}
    rows: list[Sequence[Cell]] = []
    for kind in [*KINDS, *sorted(found - set(KINDS))]:
        hits = [(r.pair, f) for r in facts.reports for f in r.findings if f.kind == kind]
        count = sum(f.count for _, f in hits)
        actions = sorted({f.action for _, f in hits})
        tone: Tone = "warn" if "quarantined" in actions else "plain"
        how = f"validation reports, {kind}"
        rows.append(
            [
                kind,
                computed(count, "", how),
                computed(len({pair for pair, _ in hits}), "", how),
                Badge(" and ".join(actions), tone) if hits else "none found",
                KINDS.get(kind, "as the importer says"),
            ]
        )
    return rows


def _source(facts: Facts, k: int) -> list[Cell]:
    r = facts.reports[k]
    how = f"validation of {r.pair}"
    longest = r.gaps.longest[0].detail.partition(" ")[0] if r.gaps.longest else "0"
    closes, agreeing = r.clock["weekly_closes"], r.clock["agreeing"]
    return [
        r.pair.upper(),
        *(computed(n, "", how) for n in (r.rows, r.bars, r.quarantined, sum(f.count for f in r.findings))),
        *(computed(n, "", how) for n in (r.gaps.fills, r.gaps.unfilled, r.gaps.holes)),
        computed(int(longest), "", how),
        str(r.clock["clock"]),
        f"{agreeing}/{closes}",
    ]

"""The figures of an execution report: header, summary, the table by group, and where the time went."""

from __future__ import annotations

from collections.abc import Sequence

from bqx.base.provenance import Number, computed
from bqx.base.report import Badge, Cell, Heading, KeyValues, Report, Table, Text
from bqx.store.migrate.facts import Facts
from bqx.store.migrate.plan import TABLE_KINDS

LEDGER = "the migration's ledger"


def seconds(value: float | None, how: str, reason: str = "not measured") -> Number:
    """A duration made by `how`."""
    return computed(value, "s", how, digits=3, reason=reason)


def amount(value: int | None, how: str, reason: str = "not counted") -> Number:
    """A number of things, told by `how`."""
    return computed(value, "", how, reason=reason)


def _badge(facts: Facts) -> Badge:
    if not facts.checks or facts.state not in ("applied", "rolled back"):
        return Badge(facts.state, "warn")
    good = all(c.passed is not False for c in facts.checks)
    return Badge(f"{facts.state}, {'verified' if good else 'VERIFICATION FAILED'}", "good" if good else "bad")


def header(report: Report, facts: Facts) -> None:
    """What, when, by whom, on what, and how long."""
    total = None
    if facts.started and facts.finished:
        total = (facts.finished - facts.started).total_seconds()
    report.add(
        KeyValues(
            [
                ("Migration", facts.plan.migration),
                ("Status", _badge(facts)),
                ("Started", facts.started or "never"),
                ("Renaming (DDL)", seconds(facts.seconds.get("ddl"), "sum of the DDL of all batches")),
                ("Exclusive", seconds(facts.locked, "renames, assertions, ledger and commit under exclusive locks")),
                ("Start to commit", seconds(total, "ledger: started to finished", "not finished")),
                ("Verification", seconds(facts.seconds.get("verification"), "V1-V9 in a new session", "not run")),
                ("Run", facts.run_id),
                ("Tool", facts.tool),
                ("Operator (database role)", facts.operator),
                ("Target", facts.target),
            ]
        )
    )


def summary(report: Report, facts: Facts) -> None:
    """Tables, objects, rows, tries."""
    tables = sum(g.tables for g in facts.groups)
    planned = len(facts.plan.tables)
    rows = [g.after for g in facts.groups]
    after = sum(r for r in rows if r is not None) if None not in rows else None
    verb = {"rolled back": "taken back", "applied": "renamed"}.get(facts.state, "renamed (not kept)")
    report.add(
        Heading("Summary"),
        KeyValues(
            [
                (f"Tables {verb}", amount(tables, LEDGER)),
                (
                    "Success rate",
                    computed(
                        100 * tables / planned if planned else None, "%", "renamed / planned", digits=1, reason="-"
                    ),
                ),
                (f"Objects {verb} in all", amount(sum(g.objects for g in facts.groups), LEDGER)),
                ("Rows preserved", amount(after, f"count(*) after, {facts.counted}", facts.counted)),
                ("Transactions", amount(facts.batches, LEDGER)),
                ("Tries that met a lock", amount(facts.retries, LEDGER)),
                ("Tracker", "not touched by this command"),
            ]
        ),
        Text(f"Of these objects: {', '.join(f'{n:,} {kind}' for kind, n in facts.named.items()) or 'none'}."),
    )


def details(report: Report, facts: Facts) -> None:
    """By group, with a total that must be their sum (CheckError), and by phase."""
    rows: list[list[Cell]] = [
        [
            g.name,
            amount(g.tables, LEDGER),
            amount(g.parents, LEDGER),
            amount(g.partitions, LEDGER),
            amount(g.before, "count(*) under a lock that keeps writers out"),
            amount(g.after, f"count(*) in a new session, {facts.counted}", facts.counted),
            seconds(g.ddl, "clock around the group's renames", "shared"),
        ]
        for g in facts.groups
    ]
    groups = facts.groups
    before = _sum([g.before for g in groups])
    after = _sum([g.after for g in groups])
    ddl = facts.seconds.get("ddl")
    rows.append(
        [
            "Total",
            amount(sum(g.tables for g in groups), "sum of the rows above"),
            amount(sum(g.parents for g in groups), "sum of the rows above"),
            amount(sum(g.partitions for g in groups), "sum of the rows above"),
            amount(before, "sum of the rows above"),
            amount(after, "sum of the rows above"),
            seconds(ddl, "clock around all renames"),
        ]
    )
    report.add(Heading("Details"))
    report.add(
        Table(["Group", "Tables", "Parents", "Partitions", "Rows before", "Rows after", "DDL"], rows, "By group")
    )
    named = sum(n for kind, n in facts.named.items() if kind in TABLE_KINDS)
    report.require_sum("tables", [g.tables for g in groups], named)
    report.require_sum("objects", [g.objects for g in groups], sum(facts.named.values()))
    differ = any(c.id == "V5" and c.passed is False for c in facts.checks)  # then the verdict says so
    if before is not None and after is not None and not differ:
        report.require_sum("rows", [g.after or 0 for g in groups], before)
    if ddl is not None and all(g.ddl is not None for g in groups):
        report.require_sum("DDL seconds", [g.ddl or 0.0 for g in groups], ddl, tolerance=0.05 + 0.05 * ddl)
    phases: list[list[Cell]] = [
        [phase, seconds(value, "sum over batches")] for phase, value in sorted(facts.seconds.items())
    ]
    report.add(Table(["Phase", "Time"], phases, "Where the time went"))
    if ddl and named:
        rate = computed(sum(facts.named.values()) / ddl, "objects/s", "objects / DDL seconds", digits=0)
        counted = facts.seconds.get("counting")
        speed = before / counted if before and counted else None
        report.add(
            KeyValues(
                [
                    ("Renames", rate),
                    ("Rows counted", computed(speed, "rows/s", "rows before / counting", digits=0, reason="no rows")),
                ]
            )
        )


def _sum(values: Sequence[int | None]) -> int | None:
    return None if None in values else sum(v for v in values if v is not None)

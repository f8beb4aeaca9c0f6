"""The execution report: Markdown, HTML and JSON; every figure computed from ledger, catalogue of columns and clock."""

from __future__ import annotations

from collections.abc import Sequence

from bqx.base.provenance import Number, computed
from bqx.base.report import Badge, Block, Cell, Heading, KeyValues, Note, Report, Table, Text
from bqx.store.migrate.checks import Check
from bqx.store.migrate.facts import Facts
from bqx.store.migrate.plan import TABLE_KINDS
from bqx.store.migrate.report_context import count_validation, unblocked

LEDGER = "the migration's ledger"


def make_report(facts: Facts, extra: Sequence[Block] = ()) -> Report:
    """The document. CheckError when parts and totals disagree; `extra` blocks (tracker, scan) come before the close."""
    spec = facts.plan.spec
    report = Report(
        f"{f'Stage {spec.stage}' if spec.stage else f'Migration {spec.migration}'}: {spec.title or 'renaming'}",
        f"{facts.state}; {spec.reason}" if spec.reason else facts.state,
    )
    _header(report, facts)
    _summary(report, facts)
    _details(report, facts)
    _convention(report, facts)
    _verification(report, facts)
    _deviations(report, facts)
    if spec.stage:
        unblocked(report)
        count_validation(report)
    _risks(report, facts)
    _lessons(report, facts)
    report.add(*extra)
    _close(report, facts)
    return report


def _seconds(value: float | None, how: str, reason: str = "not measured") -> Number:
    return computed(value, "s", how, digits=3, reason=reason)


def _count(value: int | None, how: str, reason: str = "not counted") -> Number:
    return computed(value, "", how, reason=reason)


def _badge(facts: Facts) -> Badge:
    if not facts.checks or facts.state not in ("applied", "rolled back"):
        return Badge(facts.state, "warn")
    good = all(c.passed is not False for c in facts.checks)
    return Badge(f"{facts.state}, {'verified' if good else 'VERIFICATION FAILED'}", "good" if good else "bad")


def _header(report: Report, facts: Facts) -> None:
    total = None
    if facts.started and facts.finished:
        total = (facts.finished - facts.started).total_seconds()
    report.add(
        KeyValues(
            [
                ("Migration", facts.plan.migration),
                ("Status", _badge(facts)),
                ("Started", facts.started or "never"),
                ("Renaming (DDL)", _seconds(facts.seconds.get("ddl"), "sum of the DDL of all batches")),
                ("Exclusive", _seconds(facts.locked, "renames, assertions, ledger and commit under exclusive locks")),
                ("Start to commit", _seconds(total, "ledger: started to finished", "not finished")),
                ("Verification", _seconds(facts.seconds.get("verification"), "V1-V9 in a new session", "not run")),
                ("Run", facts.run_id),
                ("Tool", facts.tool),
                ("Operator (database role)", facts.operator),
                ("Target", facts.target),
            ]
        )
    )


def _summary(report: Report, facts: Facts) -> None:
    tables = sum(g.tables for g in facts.groups)
    planned = len(facts.plan.tables)
    rows = [g.after for g in facts.groups]
    after = sum(r for r in rows if r is not None) if None not in rows else None
    verb = {"rolled back": "taken back", "applied": "renamed"}.get(facts.state, "renamed (not kept)")
    report.add(
        Heading("Summary"),
        KeyValues(
            [
                (f"Tables {verb}", _count(tables, LEDGER)),
                (
                    "Success rate",
                    computed(
                        100 * tables / planned if planned else None, "%", "renamed / planned", digits=1, reason="-"
                    ),
                ),
                (f"Objects {verb} in all", _count(sum(g.objects for g in facts.groups), LEDGER)),
                ("Rows preserved", _count(after, f"count(*) after, {facts.counted}", facts.counted)),
                ("Transactions", _count(facts.batches, LEDGER)),
                ("Tries that met a lock", _count(facts.retries, LEDGER)),
                ("Tracker", "not touched by this command"),
            ]
        ),
        Text(f"Of these objects: {', '.join(f'{n:,} {kind}' for kind, n in facts.named.items()) or 'none'}."),
    )


def _details(report: Report, facts: Facts) -> None:
    rows: list[list[Cell]] = [
        [
            g.name,
            _count(g.tables, LEDGER),
            _count(g.parents, LEDGER),
            _count(g.partitions, LEDGER),
            _count(g.before, "count(*) under a lock that keeps writers out"),
            _count(g.after, f"count(*) in a new session, {facts.counted}", facts.counted),
            _seconds(g.ddl, "clock around the group's renames", "shared"),
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
            _count(sum(g.tables for g in groups), "sum of the rows above"),
            _count(sum(g.parents for g in groups), "sum of the rows above"),
            _count(sum(g.partitions for g in groups), "sum of the rows above"),
            _count(before, "sum of the rows above"),
            _count(after, "sum of the rows above"),
            _seconds(ddl, "clock around all renames"),
        ]
    )
    report.add(Heading("Details"))
    report.add(
        Table(["Group", "Tables", "Parents", "Partitions", "Rows before", "Rows after", "DDL"], rows, "By group")
    )
    named = sum(n for kind, n in facts.named.items() if kind in TABLE_KINDS)
    report.require_sum("tables", [g.tables for g in groups], named)
    report.require_sum("objects", [g.objects for g in groups], sum(facts.named.values()))
    if before is not None and after is not None:
        report.require_sum("rows", [g.after or 0 for g in groups], before)
    if ddl is not None and all(g.ddl is not None for g in groups):
        report.require_sum("DDL seconds", [g.ddl or 0.0 for g in groups], ddl, tolerance=0.05 + 0.05 * ddl)
    phases: list[list[Cell]] = [
        [phase, _seconds(value, "sum over batches")] for phase, value in sorted(facts.seconds.items())
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


def _convention(report: Report, facts: Facts) -> None:
    spec = facts.plan.spec
    report.add(Heading("Naming convention"))
    report.add(
        Table(
            ["Before", "After"],
            [[f"{r.source or r.regex}", r.target] for r in spec.rules],
            f"Rules, in schema {spec.schema_name}" if spec.target == "postgres" else "Rules, of the lake's datasets",
        )
    )
    if spec.reason:
        report.add(Text(f"Why: {spec.reason}."))
    if facts.plan.others:
        first = ", ".join(facts.plan.others[:5])
        report.add(
            Note(
                f"{len(facts.plan.others)} tables of other families keep the old word, such as {first}: "
                "this migration says nothing about them.",
                "warn",
            )
        )


def _verification(report: Report, facts: Facts) -> None:
    report.add(Heading("Verification"))
    if not facts.checks:
        report.add(Note("Not verified yet: run `bqx migrate verify`.", "warn"))
    dry = facts.state.startswith("dry run")
    first = "Inside the transaction, before it was rolled back" if dry else "In a new session"
    for caption, checks in ((first, facts.checks), ("Inside the transaction", facts.inside)):
        if checks:
            rows: list[list[Cell]] = [[c.id, c.title, c.expected, c.observed, _verdict(c)] for c in checks]
            report.add(Table(["Check", "What", "Expected", "Observed", "Verdict"], rows, caption))
    if facts.checks:
        asked: dict[str, list[str]] = {}
        for c in facts.checks:
            asked.setdefault(c.query, []).append(c.id)
        report.add(Table(["Checks", "Query"], [[", ".join(ids), q] for q, ids in asked.items()], "What was asked"))
    problems: list[list[Cell]] = [[c.id, detail] for c in facts.checks if c.passed is False for detail in c.details]
    if problems:
        report.add(Table(["Check", "Difference"], problems, "Differences"))


def _verdict(check: Check) -> Badge:
    if check.passed is None:
        return Badge("not run", "warn")
    return Badge("holds", "good") if check.passed else Badge("FAILS", "bad")


def _deviations(report: Report, facts: Facts) -> None:
    report.add(Heading("Findings of the plan"))
    rows: list[list[Cell]] = [
        [f.case, Badge(f.level, "warn" if f.level != "note" else "plain"), f.what] for f in facts.plan.findings
    ]
    if rows:
        report.add(Table(["Case", "Level", "Finding"], rows, "What was known before it began"))
    else:
        report.add(Text("None: everything was as the rules know it."))


def _risks(report: Report, facts: Facts) -> None:
    settled: list[list[Cell]] = [[c.id, f"{c.title}: {c.observed}"] for c in facts.checks if c.passed]
    open_: list[list[Cell]] = [[f.case, f.what, f.fix] for f in facts.plan.findings if f.level == "warn"]
    open_ += [
        [c.id, f"{c.title} fails: {c.observed}", "read the differences"] for c in facts.checks if c.passed is False
    ]
    report.add(Heading("Risks"))
    if settled:
        report.add(Table(["Check", "Shown not to have happened"], settled, "Mitigated"))
    if open_:
        report.add(Table(["Case", "Risk", "What to do"], open_, f"Remaining (owner: {facts.operator})"))
    else:
        report.add(Text("No finding is open."))


def _lessons(report: Report, facts: Facts) -> None:
    report.add(Heading("Lessons"))
    items: list[tuple[str, Cell]] = []
    estimate = facts.plan.spec.estimate_minutes
    if estimate and facts.started and facts.finished:
        took = (facts.finished - facts.started).total_seconds()
        items.append(("Estimate", computed(estimate, "min", "the specification")))
        items.append(
            ("Estimate / actual", computed(estimate * 60 / took if took else None, "x", "ratio", reason="0 s"))
        )
    failed = sum(e.kind.endswith("failed") for e in facts.events)
    items.append(("Runs that failed", _count(failed, LEDGER)))
    items.append(("Tries that met a lock", _count(facts.retries, LEDGER)))
    report.add(KeyValues(items))


def _close(report: Report, facts: Facts) -> None:
    good = bool(facts.checks) and all(c.passed is not False for c in facts.checks)
    good = good and facts.state in ("applied", "rolled back")
    words = {
        True: f"{facts.plan.migration} is {facts.state} and every check that was made holds.",
        False: f"{facts.plan.migration}: {facts.state}; it must not be reported as done.",
    }
    report.add(Heading("Close"), Note(words[good], "good" if good else "bad"))
    report.add(
        KeyValues(
            [
                ("Plan", facts.plan.digest),
                ("Ledger", facts.ledger_hash),
                ("Specification", facts.plan.spec.digest),
                ("Ledger events", _count(len(facts.events), LEDGER)),
            ]
        )
    )


def _sum(values: Sequence[int | None]) -> int | None:
    return None if None in values else sum(v for v in values if v is not None)

"""The execution report: Markdown, HTML and JSON; every figure computed from ledger, catalogue of columns and clock."""

from __future__ import annotations

from collections.abc import Sequence

from bqx.base.provenance import computed
from bqx.base.report import Badge, Block, Cell, Heading, KeyValues, Note, Report, Table, Text
from bqx.store.migrate.checks import Check
from bqx.store.migrate.facts import Facts
from bqx.store.migrate.report_context import count_validation, unblocked
from bqx.store.migrate.report_figures import LEDGER, amount, details, header, summary


def make_report(facts: Facts, extra: Sequence[Block] = ()) -> Report:
    """The document. CheckError when parts and totals disagree; `extra` blocks (tracker, scan) come before the close."""
    spec = facts.plan.spec
    report = Report(
        f"{f'Stage {spec.stage}' if spec.stage else f'Migration {spec.migration}'}: {spec.title or 'renaming'}",
        f"{facts.state}; {spec.reason}" if spec.reason else facts.state,
    )
    header(report, facts)
    summary(report, facts)
    details(report, facts)
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
    items.append(("Runs that failed", amount(failed, LEDGER)))
    items.append(("Tries that met a lock", amount(facts.retries, LEDGER)))
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
                ("Ledger events", amount(len(facts.events), LEDGER)),
            ]
        )
    )

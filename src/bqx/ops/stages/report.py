"""The execution report of a stage, made from its evidence alone: made again later, it differs by its date only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from bqx.base.errors import CheckError, ReportError
from bqx.base.provenance import Number, Source
from bqx.base.report import Badge, Heading, KeyValues, Note, Report, Table, Text
from bqx.ops.stages.report_context import add_context
from bqx.ops.stages.state import Evidence
from bqx.store.known import known_text

Make = Callable[..., Number]


def stage_report(evidence: Evidence) -> Report:
    """The report; raises ReportError for evidence that no run has concluded or whose sums do not add up."""
    content = evidence.content
    if "context" not in content:
        raise ReportError(f"evidence {evidence.id} is of a run that did not end", where=f"stage {evidence.stage}")
    number = _maker(evidence)
    context = content["context"]
    name = next(row["name"] for row in context["stages"] if row["id"] == evidence.stage)
    report = Report(
        f"Stage {evidence.stage}: {name}",
        _subtitle(evidence, content),
        banner="SIMULATED DATA" if content["simulated"] else None,
        run_id=evidence.run_id,
    )
    try:
        _header(report, evidence, content, number)
        _details(report, content, number)
        _convention(report, content)
        _verification(report, content, number)
        add_context(report, evidence, content, number)
    except CheckError as error:
        raise ReportError(error.what, where=error.where, fix=error.fix) from error
    return report


def _maker(evidence: Evidence) -> Make:
    def number(
        value: float | None, unit: str, how: str, *, digits: int | None = None, reason: str | None = None
    ) -> Number:
        return Number(value, unit, Source(evidence.run_id, f"{how}; evidence {evidence.id}"), digits, reason)

    return number


def _subtitle(evidence: Evidence, content: Mapping[str, Any]) -> str:
    if content["kind"] == "migration":
        return "No name of the old convention is left."
    if content["kind"] == "task":
        return "Looked at by machine: every check holds. What a check does not see is said below."
    if not evidence.computable:
        return "Built and counted, but not computable in this project: some columns have no value at all."
    return "Built, counted twice, and as calendar, bars and warm-up allow."


def verdict(evidence: Evidence) -> Badge:
    """The stage's status after the run."""
    if not evidence.computable:
        return Badge(f"{evidence.level}, not computable", "warn")
    return Badge(evidence.level, "good" if evidence.level == "validated" else "plain")


def _header(report: Report, evidence: Evidence, content: Mapping[str, Any], number: Make) -> None:
    seconds = content["seconds"]
    when = datetime.fromisoformat(known_text(evidence.made_at)).astimezone(UTC)
    items: list[tuple[str, Any]] = [
        ("status", verdict(evidence)),
        ("evidence", f"evidence {evidence.id}"),
        ("concluded", when),
        ("took", number(seconds["total"], "s", "wall clock of the run", digits=2)),
        ("plan", f"{evidence.plan}, digest {evidence.plan_digest}"),
        ("tool", f"bqx {content['tool']}"),
        ("owner", content["owner"]),
    ]
    if content["kind"] == "features":
        total, scope = content["total"], content["scope"]
        nulls = total["values"] - total["present"]
        items += [
            ("pairs", number(len(scope["pairs"]), "", "pairs of the project")),
            ("months", f"{scope['first']} to {scope['last']}"),
            ("building", number(seconds["build"], "s", "wall clock", digits=2)),
            ("verification", number(seconds["verify"], "s", "wall clock", digits=2)),
            ("values", number(total["values"], "", "rows x columns of the stage's partitions")),
            ("not NULL", number(total["present"], "", "NULL counts of the manifest, equal to a count by SQL")),
            ("NULL", number(nulls, "", "values less those that are not NULL")),
        ]
        report.require_sum("values", [total["present"], nulls], total["values"])
    elif content["kind"] == "migration":
        items.append(
            ("names looked at", number(content["searched"], "", "datasets, lake folders and relations of the server"))
        )
    report.add(Heading("Summary"), KeyValues(items))
    if not evidence.computable:
        _lacking(report, content, number)
    if content.get("partly"):
        rows = [[reason, number(n, "", "coverage by column and pair")] for reason, n in content["partly"].items()]
        report.add(Table(["reason", "columns"], rows, "Columns without any value in some pair, counted a pair"))


def _lacking(report: Report, content: Mapping[str, Any], number: Make) -> None:
    lacking, without = content["lacking"], content["without_bars"]
    report.add(
        Note("This stage is not done: the project lacks pairs, source or history that these columns need.", "warn")
    )
    if without:
        report.add(Text(f"There are no bars of {', '.join(without)}."))
    if lacking:
        rows = [
            [reason, number(sum(r == reason for r in lacking.values()), "", "columns without any value"),
             ", ".join([n for n, r in lacking.items() if r == reason][:3])]
            for reason in sorted(set(lacking.values()))
        ]  # fmt: skip
        report.require_sum("columns without a value", [row[1].value for row in rows], len(lacking))
        report.add(Table(["reason", "columns", "for example"], rows, "Columns without any value"))


def _details(report: Report, content: Mapping[str, Any], number: Make) -> None:
    report.add(Heading("Details"))
    if content["kind"] == "task":
        report.add(
            Text(f"Accepted when: {content['acceptance']}."),
            Text("Done by " + ("; ".join(f"`{c}`" for c in content["commands"]) or "other stages") + "."),
            Text("Shown by bqx's own tests, which a project does not run: "
                 + (", ".join(f"`{s}`" for s in content["suite"]) or "nothing more") + "."),
            Table(["rests on", "hash"], [[k.partition(":")[2], f"sha256 {v}"] for k, v in content["rests"].items()],
                  "When one of these changes, the evidence no longer holds"),
        )  # fmt: skip
        return
    if content["kind"] == "migration":
        report.add(
            Text("This stage builds nothing: it asks the manifest and the lake for names of the old convention.")
        )
        return
    total, rows = content["total"], content["tables"]["datasets"]
    how = {"columns": "declared", "partitions": "manifest", "partition_rows": "manifest", "rows": "rows x columns",
           "present": "manifest", "sql": "SQL over the files", "bytes": "manifest"}  # fmt: skip
    keys = list(how)
    table = [
        [
            r["dataset"],
            *(number(r[k], "", how[k]) for k in keys),
            number(r["seconds"], "s", "core seconds of its units", digits=1),
        ]
        for r in rows
    ]
    sums = {key: total[key] for key in ("columns", "partitions", "partition_rows", "bytes", "present")}
    sums |= {"rows": total["values"], "sql": total["present"]}
    for key in keys:
        report.require_sum(key, [r[key] for r in rows], sums[key])
    spent = sum(r["seconds"] for r in rows)
    table.append(["total", *(number(sums[k], "", f"sum, {how[k]}") for k in keys), number(spent, "s", "sum", digits=1)])
    names = ["dataset", "columns", "partitions", "rows", "values", "not NULL", "not NULL by SQL", "bytes", "built in"]
    report.add(Table(names, table, "Datasets of the stage"))
    from bqx.features.reasons import REASONS

    columns = content["tables"]["columns"]
    for reason in REASONS:
        report.require_sum(reason, [c[reason] for c in columns], sum(r[reason] for r in rows))
    for row in columns:
        report.require_sum(
            f"{row['dataset']}.{row['column']}", [row["present"], *(row[x] for x in REASONS)], row["rows"]
        )
    report.add(
        Table(
            ["column", "values", "not NULL", "by SQL", *REASONS],
            [
                [f"{c['dataset']}.{c['column']}", *(number(c[k], "", how[k]) for k in ("rows", "present", "sql")),
                 *(number(c[x], "", "calendar, bars and declared support") for x in REASONS)]
                for c in columns
            ],
            "Every column, and why the rest of it is NULL",
        )
    )  # fmt: skip


def _convention(report: Report, content: Mapping[str, Any]) -> None:
    if content["kind"] == "task":
        return
    report.add(Heading("Convention"))
    if content["kind"] == "migration":
        rows = [
            [f"{{family}}_{token}_{{pair}}[_{{yyyy_mm}}]", "{family}_rate_{pair}_{yyyy_mm}"]
            for token in content["tokens"]
        ]
        report.add(
            Table(["before", "after"], rows, "Names"),
            Text("The token says which series a column is computed from: `rate`, `bqx`, or `dual` for both."),
            Text(f"Searched for: `{content['pattern']}`"),
        )
        return
    report.add(
        Text("A partition is `{family}_{domain}_{pair}_{yyyy_mm}`; a value stamped t uses bars labelled t or earlier."),
        Text(f"Counted by `{content['query']}`, each column and month."),
    )


def _verification(report: Report, content: Mapping[str, Any], number: Make) -> None:
    rows = []
    for check in content["checks"]:
        report.require_sum(check["what"], [check["observed"]], check["expected"])
        rows.append(
            [check["id"], check["what"], number(check["expected"], "", "expected"),
             number(check["observed"], "", check["query"]), Badge("holds", "good")]
        )  # fmt: skip
    if not rows:
        raise ReportError("the stage declares no assertion", where=report.title)
    report.add(Heading("Verification"), Table(["check", "what", "expected", "observed", "verdict"], rows, "Assertions"))

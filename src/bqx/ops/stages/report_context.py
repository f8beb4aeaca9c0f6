"""The part of a report that is about the plan: reconciliation, tracker, unblocked work, counts, risks, lessons."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from bqx.base.provenance import Number
from bqx.base.report import Badge, Cell, Heading, KeyValues, Report, Table, Text
from bqx.ops.stages.state import Evidence

STAGE_COLUMNS = ("stage", "name", "features", "partitions", "hours", "status", "mark")
Make = Callable[..., Number]
TONES = {
    "done": "good",
    "ready": "plain",
    "not computable": "warn",
    "blocked": "warn",
    "failed": "bad",
    "stale": "warn",
}


def add_context(report: Report, evidence: Evidence, content: Mapping[str, Any], number: Make) -> None:
    """All sections after the verification."""
    context = content["context"]
    _plan(report, context, number)
    _documents(report, evidence, context, number)
    _unblocked(report, context, number)
    _counts(report, context, number)
    _next(report, context, number)
    _risks(report, context, number)
    _lessons(report, context, number)
    _close(report, evidence, content, number)


def _plan(report: Report, context: Mapping[str, Any], number: Make) -> None:
    rows: list[list[Cell]] = []
    for row in context["reconciliation"]:
        change = None if row["ratio"] is None else 100 * (row["ratio"] - 1)
        rows.append(
            [row["name"].replace("_", " "),
             number(row["old"], row["unit"], "plan v2.0, as printed", reason="not in that plan"),
             number(row["new"], row["unit"], "plan v3.0, as printed", reason="not in that plan"),
             number(change, "%", "new / old - 1", digits=0, reason="one is missing"), "; ".join(row["notes"])]
        )  # fmt: skip
    plan = context["plan"]
    report.add(
        Heading("Context"),
        Text(
            f"Plan {plan['version']} ({plan['title']}), digest `{plan['digest']}`, made from catalogue "
            f"`{plan['catalogue']}`."
        ),
        Table(["figure", "v2.0", "v3.0", "change", "notes"], rows, "What the plan changed before this stage"),
    )


def _documents(report: Report, evidence: Evidence, context: Mapping[str, Any], number: Make) -> None:
    stem = f"stage-{evidence.stage.replace('.', '-')}"
    before = context["before"]
    report.add(
        Heading("Documents and tracker"),
        Table(
            ["artefact", "what it is"],
            [[f"{stem}.{ending}", f"this report as {name}"] for ending, name in
             (("html", "a page"), ("md", "Markdown"), ("json", "data"))],
            "Written by this run",
        ),
        Table(
            ["record", "field", "before", "after"],
            [[f"stage {evidence.stage}", "status", before["status"], evidence.level],
             [f"stage {evidence.stage}", "evidence", "none or older", f"evidence {evidence.id}"]],
            "Queued for the tracker in the transaction of the evidence",
        ),
    )  # fmt: skip
    security = context["security"]
    report.add(
        Heading("Security"),
        KeyValues(
            [("files scanned", number(security["files"], "", "secret scan of the configuration")),
             ("lines", number(security["lines"], "", "secret scan")),
             ("findings", number(security["findings"], "", "secret scan, rules of detect-secrets and of bqx"))]
        ),
        Text("The text of this report is redacted, and refused when something that looks like a secret is left in it."),
    )  # fmt: skip


def _unblocked(report: Report, context: Mapping[str, Any], number: Make) -> None:
    rows = [row for row in context["stages"] if row["id"] in context["unblocked"]]
    report.add(Heading("Unblocked work"))
    closed = [b for b in context["blockers"] if b["closed_now"]]
    if closed:
        report.add(
            Table(
                ["blocker", "reason", "closed by"],
                [[b["id"], b["reason"], b["observed"]] for b in closed],
                "Blockers whose exit criterion now holds",
            )
        )
    if not rows:
        report.add(Text("No stage was waiting for this one alone."))
        return
    table = [_stage_row(row, number) for row in rows]
    sums = {key: sum(row[key] or 0 for row in rows) for key in ("features", "partitions", "hours")}
    for key, total in sums.items():
        report.require_sum(f"unblocked {key}", [row[key] or 0 for row in rows], total, tolerance=1e-9)
    table.append(
        [
            "total",
            f"{'stages' if len(rows) > 1 else 'stage'}",
            *(number(sums[k], "h" if k == "hours" else "", "sum") for k in ("features", "partitions", "hours")),
            "",
            "",
        ]
    )
    report.add(Table(STAGE_COLUMNS, table, "Stages that this one unblocked; partitions of 28 pairs and 12 months"))


def _stage_row(row: dict[str, Any], number: Make) -> list[Cell]:
    mark = row["mark"]
    return [
        f"stage {row['id']}",
        row["name"],
        number(row["features"], "", "counted columns of the catalogue"),
        number(row["partitions"], "", "datasets x pairs x months of the plan"),
        number(row["hours"], "h", "estimate of the plan", reason="no estimate"),
        row["status"],
        Badge(mark, TONES.get(mark, "plain")) if mark else "",  # type: ignore[arg-type]
    ]


def _counts(report: Report, context: Mapping[str, Any], number: Make) -> None:
    domains: dict[str, list[dict[str, Any]]] = {}
    for line in context["domains"]:
        domains.setdefault(line["domain"], []).append(line)
    rows: list[list[Cell]] = []
    for domain, lines in domains.items():
        rows += [[domain, line["name"], number(line["features"], "", "catalogue"),
                  number(line["partitions"], "", "datasets x 28 pairs x 12 months")] for line in lines]  # fmt: skip
        rows.append(
            [domain, "all of it", *(number(sum(x[k] for x in lines), "", "sum") for k in ("features", "partitions"))]
        )
    every = context["domains"]
    ours = {t["what"]: t["ours"] for t in context["totals"]}
    report.require_sum("features of all domains", [x["features"] for x in every], ours["All domains, features"])
    report.require_sum("partitions of all domains", [x["partitions"] for x in every], ours["All domains, tables"])
    rows.append(
        ["all", "all of it", *(number(sum(x[k] for x in every), "", "sum") for k in ("features", "partitions"))]
    )
    totals = [
        [t["what"], number(t["printed"], "", "as printed by the seed"), number(t["lines"], "", "sum of its lines"),
         number(t["ours"], "", "catalogue and plan", reason="not of the catalogue"),
         Badge("agrees", "good") if t["agrees"] else Badge("differs", "warn"), t["why"]]
        for t in context["totals"]
    ]  # fmt: skip
    report.add(
        Heading("Count validation"),
        Table(["domain", "family", "features", "partitions"], rows, "What the catalogue adds up to"),
        Table(
            ["figure", "printed", "its lines", "ours", "verdict", "why"],
            totals,
            "Printed totals and what they add up to",
        ),
    )


def _next(report: Report, context: Mapping[str, Any], number: Make) -> None:
    left, guess = context["left"], context["forecast"]
    why = guess["reason"] or None
    how = f"estimates scaled by the ratios of {guess['actuals']} finished stages"
    report.add(
        Heading("Next steps"),
        KeyValues(
            [("next", f"stage {context['next']}" if context["next"] else "nothing can run"),
             ("stages left", number(left["stages"], "", "feature and migration stages that are not validated")),
             ("hours left, one after the other", number(left["hours"], "h", "sum of estimates")),
             ("hours left, side by side", number(left["parallel_hours"], "h", "longest chain of dependencies")),
             ("weeks left", number(left["hours"] / left["hours_a_week"], "weeks", "at the plan's hours a week")),
             ("most at once", number(left["width"], "stages", "as early as each can begin")),
             ("forecast, half", number(guess["p50"], "h", how, reason=why)),
             ("forecast, nine of ten", number(guess["p90"], "h", how, reason=why))]
        ),
        Text(f"Longest chain: {' -> '.join(left['critical_path']) or 'none'}."),
        Table(
            STAGE_COLUMNS,
            [_stage_row(row, number) for row in context["stages"]],
            "All stages after this run",
        ),
    )  # fmt: skip


def _risks(report: Report, context: Mapping[str, Any], number: Make) -> None:
    rows: list[list[Cell]] = []
    for risk in sorted(context["risks"], key=lambda r: -r["probability"] * r["impact"]):
        score = number(risk["probability"] * risk["impact"], "", "probability x impact, 1 to 5 each, of the register")
        rows.append([risk["id"], risk["title"], score, risk["status"], risk["owner"], risk["mitigation"], risk["gate"]])
    approvals = [
        [a["id"], a["what"], number(a["amount"], f"{a['currency']} a {a['period']}", f"estimate {a['estimate']}"),
         f"estimate {a['estimate']}", a["when"], a["who"]]
        for a in context["approvals"]
    ]  # fmt: skip
    report.add(
        Heading("Risks"),
        Table(["risk", "title", "score", "status", "owner", "mitigation", "gate"], rows, "Register"),
        Table(["approval", "of", "amount", "on", "when", "by"], approvals, "Budget approvals"),
    )


def _lessons(report: Report, context: Mapping[str, Any], number: Make) -> None:
    words = {"well": "went well", "improve": "to improve", "practice": "practice"}
    rows: list[list[Cell]] = [[words[x["kind"]], x["text"], x["practice"]] for x in context["lessons"]]
    report.add(Heading("Lessons"), Table(["kind", "lesson", "what follows"], rows, "Register"))


def _close(report: Report, evidence: Evidence, content: Mapping[str, Any], number: Make) -> None:
    ledger = hashlib.sha256(evidence.text.encode()).hexdigest()[:32]
    state = "validated" if evidence.level == "validated" else f"{evidence.level}, not done"
    after = content["context"]["next"]
    report.add(
        Heading("Conclusion"),
        Text(f"Stage {evidence.stage} is {state}. {f'Next: stage {after}.' if after else 'Nothing else can run now.'}"),
        Heading("Machine copy"),
        KeyValues(
            [("schema of the evidence", number(content["format"], "", "written by this version of bqx")),
             ("hash of the plan", f"sha256 {evidence.plan_digest}"),
             ("hash of the evidence", f"sha256 {ledger}"),
             ("hash of the partitions", f"sha256 {evidence.data_hash}" if evidence.data_hash else "builds none")]
        ),
    )  # fmt: skip

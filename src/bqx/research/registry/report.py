"""The page of a model: the reporting standard, every gate, where it comes from, what became of it."""

from __future__ import annotations

from typing import Any

from bqx.base.provenance import computed
from bqx.base.report import Badge, Cell, Heading, KeyValues, Note, Report, Table, Text, Tone
from bqx.research.evaluation.standard import shown
from bqx.research.registry.evidence import Evidence
from bqx.research.registry.gates import Gate, judge
from bqx.research.registry.lineage import lineage
from bqx.research.registry.model import Model
from bqx.research.registry.store import Registry
from bqx.research.training.quarantine import check_quarantine

TONES: dict[str, Tone] = {"pass": "good", "fail": "bad", "no evidence": "warn"}
STATES: dict[str, Tone] = {"pending": "warn", "approved": "plain", "production": "good", "archived": "plain"}
RESEARCH = "Research: this model has not passed all gates. Whatever serves it says HOLD."


def model_report(registry: Registry, model: Model) -> Report:
    """Raises QuarantinedError before anything is shown of a run that nobody signed, ArtefactError for a changed one."""
    evidence = Evidence(registry, model)
    check_quarantine(evidence.run)
    gates, made = judge(evidence), lineage(registry, model)
    report = Report(
        f"Model {model.name}",
        subtitle=f"{evidence.run.head['estimator']}, run {model.run}, artefact {model.digest}",
        banner="SIMULATED DATA" if model.simulated else None,
    )
    passed = sum(g.passed for g in gates)
    report.add(
        KeyValues(
            [
                ("state", Badge(model.state, STATES[model.state])),
                ("gates passed", computed(passed, "", "count of gates below")),
                ("columns", computed(len(made["columns"]), "", "inputs in the signed manifest")),
                ("horizons, bars", ", ".join(map(str, evidence.run.horizons))),
                ("trained to", str(made["window"]["last"])[:16]),
            ]
        )
    )
    if model.research:
        report.add(Note(RESEARCH, "warn"))
    report.add(Heading("Gates"), gate_table(gates), Heading("Reporting standard"))
    if evidence.evaluation is None:
        report.add(Note("The run was not evaluated: `bqx evaluate` measures its skill.", "warn"))
    else:
        report.add(Text(evidence.evaluation["verdict"] + "."), KeyValues(shown(evidence.evaluation["standard"])))
    _origin(report, made)
    _history(report, registry.changes(model))
    return report


def gate_table(gates: list[Gate]) -> Table:
    rows: list[list[Cell]] = [
        [g.name, g.title, Badge(g.verdict, TONES[g.verdict]), g.reason, g.source.replace("`", "")] for g in gates
    ]
    return Table(("gate", "of", "verdict", "why", "evidence from"), rows, "A gate without evidence blocks")


def _origin(report: Report, made: dict[str, Any]) -> None:
    here = f"{len(made['sources'])} partitions" if made["dataset"]["here"] else "the dataset is no longer here"
    report.add(
        Heading("Where it comes from"),
        KeyValues(
            [
                ("run", f"{made['run']['name']} ({made['run']['hash']}), bqx {made['run']['code']}"),
                ("columns from", f"{made['run']['mask']['source']} ({made['run']['mask']['digest']})"),
                ("dataset", f"{made['dataset']['name']} ({made['dataset']['hash']})"),
                ("read from", here),
                ("catalogue", str(made["catalogue_version"])),
                ("lag profile", str(made["lag_profile"])),
                ("lagged inputs", computed(made["lagged"], "", "names with a lag")),
            ]
        ),
        Table(
            ("feature dataset", "inputs"), [[k, v] for k, v in made["datasets"].items()], "Inputs by feature dataset"
        ),
    )
    report.require_sum("inputs by feature dataset", list(made["datasets"].values()), len(made["columns"]))


def _history(report: Report, changes: list[dict[str, Any]]) -> None:
    report.add(Heading("Changes"))
    if not changes:
        report.add(Text("Registered, and never moved."))
        return
    rows = [[c["at"][:16], c["before"], c["after"], c["who"], c["reason"]] for c in changes]
    report.add(Table(("at", "from", "to", "by", "reason"), rows, "Every change of state"))

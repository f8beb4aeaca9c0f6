"""`bqx runs`: list, show, compare and sign what `bqx train` made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bqx.cli.common import App, emit, json_option

if TYPE_CHECKING:
    from bqx.research.training.folder import Run


@click.group()
def runs() -> None:
    """Training runs: list, show, compare; sign one that is too good to be true."""


@runs.command("list")
@json_option
@click.pass_obj
def list_(app: App, as_json: bool) -> None:
    """One line a run."""
    from bqx.research.training.folder import runs as found

    rows = [summary(run) for run in found(app.open())]

    def text() -> None:
        for r in rows:
            mark = "  SIMULATED" if r["simulated"] else ""
            cells = "" if r["done"] is None else f"{r['done']} of {r['cells']} cells"
            click.echo(f"{r['name']:16} {r['state']:12} {r['estimator']:10} {r['dataset']:12} {cells}{mark}")
        if not rows:
            click.echo("no runs; `bqx train NAME --dataset D` makes one")

    emit(rows, as_json, text)


@runs.command()
@click.argument("name")
@json_option
@click.pass_obj
def show(app: App, name: str, as_json: bool) -> None:
    """What a run was made of, its state, and its skill, pooled and by pair and horizon."""
    from bqx.research.training.folder import open_run

    run = open_run(app.open(), name)
    data = {**run.head, "signed": run.signed, "artefacts": [p for p in run.pairs if run.artefact(p).is_dir()]}
    emit(data, as_json, lambda: click.echo(run_lines(run)))


@runs.command()
@click.argument("names", nargs=-1, required=True)
@json_option
@click.pass_obj
def compare(app: App, names: tuple[str, ...], as_json: bool) -> None:
    """Where runs differ, and their pooled skill side by side. Quarantined ones are shown as such, without figures."""
    from bqx.research.training.compare import compare_runs
    from bqx.research.training.folder import open_run

    project = app.open()
    rows = compare_runs([open_run(project, name) for name in names])

    def text() -> None:
        for r in rows:
            click.echo(f"{r['what']:24} " + "  ".join(f"{v!s:>28.28}" for v in r["values"]))

    emit(rows, as_json, text)


@runs.command()
@click.argument("name")
@click.option("--by", required=True, help="Who answers for it.")
@click.option("--reason", required=True, help="Goes on the record.")
@click.option("--samples", type=click.IntRange(1000), default=1000, help="Rows to recompute in L4.")
@json_option
@click.pass_obj
def sign(app: App, name: str, by: str, reason: str, samples: int, as_json: bool) -> None:
    """Sign a quarantined run off: L1-L6 run again on every pair first, and nothing is signed when one fails."""
    from bqx.research.dataset import Dataset
    from bqx.research.training.folder import open_run
    from bqx.research.training.signing import sign as sign_it

    project = app.open()
    run = open_run(project, name)
    data = sign_it(run, Dataset.open(project, run.head["dataset"]), by=by, reason=reason, samples=samples)
    emit(data, as_json, f"run {name} signed off by {by}; train it again and its models are made")


@runs.command()
@click.argument("candidate")
@click.argument("baselines", nargs=2)
@json_option
@click.pass_obj
def admit(app: App, candidate: str, baselines: tuple[str, str], as_json: bool) -> None:
    """Is the CANDIDATE's estimator better than those of the BASELINES, a run of ridge and one of boosting?

    Exit code 5 when it is not shown to be; the comparison is kept as admission.json beside the run either way.
    """
    from bqx.base.errors import EstimatorError
    from bqx.research.training.admit import admit_run
    from bqx.research.training.folder import open_run

    project = app.open()
    data = admit_run(open_run(project, candidate), [open_run(project, name) for name in baselines])
    mark = " (SIMULATED bars)" if data["simulated"] else ""
    emit(data, as_json, f"{data['verdict']}{mark}; {data['rows']:,} test rows of {data['folds']} folds")
    if not data["admitted"]:
        raise EstimatorError(data["verdict"], fix="keep it for research; use ridge or boosting")


def summary(run: Run) -> dict[str, Any]:
    """A run in a line."""
    head, result = run.head, run.head["result"]
    keys = ("name", "state", "estimator", "dataset", "hash", "code_version", "simulated")
    return {**{k: head[k] for k in keys}, "cells": result.get("cells"), "done": result.get("done"),
            "pooled": result.get("pooled")}  # fmt: skip


def run_lines(run: Run) -> str:
    """A run for people."""
    from bqx.research.skill import NO_SKILL

    head, result = run.head, run.head["result"]
    mark = " from SIMULATED bars" if run.simulated else ""
    lines = [
        f"run {run.name}: {run.state}{mark}, hash {run.hash}",
        f"dataset {head['dataset']} {head['dataset_hash'][:8]}, {head['estimator']} {head['params']}, "
        f"{', '.join(head['heads'])}; columns: {head['mask']['source']}; code {head['code_version']}",
        head.get("splits", ""),
    ]
    if not result:
        return "\n".join([*lines, "not finished; the same `bqx train` command goes on"])
    lines.append(f"{result['done']} of {result['cells']} cells done, quorum {result['quorum']:.0%}")
    lines += [f"  failed: {f['cell']} after {f['attempts']} tries: {f['reason']}" for f in result["failures"]]
    if run.closed:
        return "\n".join([*lines, *(f"  too good: {text}" for text in result["too_good"])])
    lines.append("against the random walk, which scores 0; pure noise gets 0 or less, and half of the signs right")
    for target, found in result["pooled"].items():
        if found is None:
            lines.append(f"{target}: too few test rows for a skill with an interval")
        else:
            span = f"({100 * found['low']:.2f} to {100 * found['high']:.2f})"
            lines.append(f"{target} of all pairs and horizons: skill {100 * found['skill']:.2f} % {span}, "
                         f"{found['verdict']}")  # fmt: skip
    for s in result["scores"]:
        span = "too few rows" if s["low"] is None else f"{100 * s['low']:.2f} to {100 * s['high']:.2f}"
        known = "" if s["low"] is not None and s["low"] > 0 else f", {NO_SKILL}"
        lines.append(f"  {s['pair']} {s['target']} h = {s['horizon']}: skill {100 * s['skill']:.2f} % ({span}), hits "
                     f"{100 * s['hit_rate']:.1f} %, {s['rows']:,} rows worth {s['effective']:,.0f}{known}")  # fmt: skip
    return "\n".join(line for line in lines if line)

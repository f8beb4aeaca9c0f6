"""`bqx stage`: the plan, where it stands, and running it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bqx.base.errors import BqxError, UsageError
from bqx.cli.common import App, dry_run_option, emit, json_option
from bqx.cli.stage_plan import diff, graph, totals

if TYPE_CHECKING:
    from bqx.build.project import Project
    from bqx.ops.stages.board import Board
    from bqx.ops.stages.state import PlanState


@click.group()
def stage() -> None:
    """The plan: where each stage stands by evidence, run a stage, reports, graph, gaps."""


for command in (diff, graph, totals):
    stage.add_command(command)


@contextmanager
def _opened(app: App) -> Iterator[tuple[Project, PlanState | None, Board]]:
    from bqx.ops.plan.read import load_plan
    from bqx.ops.stages.board import make_board
    from bqx.ops.stages.state import PlanState

    with closing(app.open()) as project, PlanState.existing(project.root) as state:
        yield project, state, make_board(project, load_plan(), state)


@stage.command("list")
@click.option("--tasks", is_flag=True, help="The tasks of Phase 3 too.")
@json_option
@click.pass_obj
def list_(app: App, tasks: bool, as_json: bool) -> None:
    """All stages: status by evidence (defined, schema, populated, validated, in model), and what is in the way."""
    from bqx.ops.stages.context import outlook

    with _opened(app) as (project, _, board):
        data = {**board.as_dict(), **outlook(board)}
        simulated = project.simulated
    if not tasks:
        data["stages"] = [row for row in data["stages"] if row["kind"] != "task"]
    data["simulated"] = simulated

    def show() -> None:
        if data["stale"]:
            click.secho(f"the plan is stale: {data['stale']}", fg="yellow")
        if simulated:
            click.echo("bars are SIMULATED")
        click.echo(f"{'stage':8} {'name':30} {'columns':>7} {'hours':>5}  {'status':10} mark")
        for row in data["stages"]:
            hours = "" if row["hours"] is None else f"{row['hours']:g}"
            mark = row["mark"] + (f": {row['reasons'][0]}" if row["reasons"] and row["mark"] != "done" else "")
            click.echo(f"{row['id']:8} {row['name']:30} {row['features']:7,} {hours:>5}  {row['status']:10} {mark}")
        for row in data["blockers"]:
            if row["open"]:
                click.echo(
                    f"open blocker {row['id']} ({row['severity']}, {row['owner']}): {row['reason']}; "
                    f"until {row['exit']}"
                )
        left, guess = data["left"], data["forecast"]
        tail = guess["reason"]
        if not tail:
            tail = f"P50 {guess['p50']:.3g} h, P90 {guess['p90']:.3g} h by {guess['actuals']} finished stages"
        click.echo(
            f"left: {left['stages']} stages, {left['hours']:g} h one after the other, "
            f"{left['parallel_hours']:g} h side by side; forecast: {tail}"
        )

    emit(data, as_json, show)


@stage.command()
@click.argument("name", metavar="STAGE")
@json_option
@click.pass_obj
def show(app: App, name: str, as_json: bool) -> None:
    """One stage: plan, datasets, dependencies, evidence, runs."""
    from bqx.ops.plan.columns import homes_of
    from bqx.ops.plan.schedule import schedule
    from bqx.store.known import known_text

    with _opened(app) as (_, state, board):
        found = board.plan.stage(name)
        slot = schedule(board.plan).slots[name]
        runs = state.runs(name) if state is not None else []
        evidence = state.evidence(name) if state is not None else []
        reports = {e.id: state.report(e.id) for e in evidence} if state is not None else {}
    data: dict[str, Any] = {
        **next(row for row in board.as_dict()["stages"] if row["id"] == name),
        "advised": list(found.advised),
        "exit": list(found.exit),
        "result": found.result,
        "acceptance": found.acceptance,
        "why": found.why,
        "datasets": [home.name for home in homes_of(name)],
        "slack_hours": slot.slack,
        "critical": slot.critical,
        "evidence_history": [
            {"id": e.id, "level": e.level, "computable": e.computable, "made_at": known_text(e.made_at),
             "report": reports[e.id]}
            for e in evidence
        ],
        "runs": [
            {"run_id": r.run_id, "status": r.status, "reason": r.reason, "started": known_text(r.started),
             "seconds": r.seconds}
            for r in runs
        ],
    }  # fmt: skip

    def text() -> None:
        click.echo(f"{name} {found.name}: {data['status']}" + (f", {data['mark']}" if data["mark"] else ""))
        for reason in data["reasons"]:
            click.echo(f"  {reason}")
        for key in ("phase", "kind", "owner", "hours", "features", "partitions", "slack_hours"):
            click.echo(f"{key:12} {data[key]}")
        for key in ("datasets", "after", "advised", "exit", "commands", "suite"):
            click.echo(f"{key:12} {', '.join(data[key]) or 'none'}")
        for row in data["evidence_history"]:
            click.echo(
                f"evidence {row['id']}  {row['made_at']}  {row['level']}  report {row['report'][0]} {row['report'][2]}"
            )
        for row in data["runs"]:
            click.echo(f"run {row['run_id']}  {row['started']}  {row['status']} {row['reason']}")

    emit(data, as_json, text)


@stage.command()
@click.argument("names", metavar="[STAGE]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All that can run, in the order of the plan.")
@click.option("--from", "first", metavar="YYYY_MM", help="First month.")
@click.option("--to", "last", metavar="YYYY_MM", help="Last month.")
@click.option("--threads", type=click.IntRange(0), default=0, help="0: as configured.")
@click.option("--again", is_flag=True, help="Also when the evidence holds.")
@dry_run_option
@json_option
@click.pass_obj
def run(
    app: App,
    names: tuple[str, ...],
    every: bool,
    first: str | None,
    last: str | None,
    threads: int,
    again: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Build exactly a stage's datasets, verify every column, record evidence, publish the report.

    Refused while a dependency, a blocker, a stale plan or the tracker is in the way. Killed or failed, nothing is
    marked, and the same command goes on.
    """
    from bqx.build.choice import Choice
    from bqx.build.progress import make_progress
    from bqx.ops.plan.read import load_plan
    from bqx.ops.stages.facts import How
    from bqx.ops.stages.run import Outcome, run_ready, run_stage
    from bqx.ops.stages.state import PlanState

    if bool(names) == every:
        raise UsageError("name stages, or give --all", fix="`bqx stage list` shows what can run")
    if dry_run:
        _would_run(app, names, as_json)
        return
    with closing(app.open()) as project, closing(PlanState(project.root)) as state:
        plan = load_plan()
        choice = Choice.parse(project.resolve_column, first=first, last=last)
        how = How(
            choice.first_month,
            choice.last_month,
            threads,
            progress=lambda todo: make_progress(todo.values, log_json=app.log_json),
            note=lambda name: click.echo(f"compiling the kernels of {name} (once a version)", err=True),
        )

        def tell(name: str, what: Outcome | BqxError) -> None:
            if not as_json:
                click.echo(_line(name, what))

        failed: dict[str, BqxError] = {}
        outcomes: list[Outcome] = []
        if every:
            outcomes, failed = run_ready(project, plan, state, how, tell=tell)
        for name in names:
            outcomes.append(run_stage(project, plan, state, name, how, again=again))
            tell(name, outcomes[-1])
    data = {"outcomes": [o.as_dict() for o in outcomes], "failed": {n: e.as_dict() for n, e in failed.items()}}
    emit(
        data, as_json, lambda: None if outcomes or failed else click.echo("nothing can run: `bqx stage list` says why")
    )
    if failed:
        raise next(iter(failed.values()))


def _would_run(app: App, names: tuple[str, ...], as_json: bool) -> None:
    """What is in the way of each stage, and what its build would do."""
    from bqx.build.choice import Choice
    from bqx.build.run import plan as plan_build
    from bqx.ops.plan.columns import homes_of
    from bqx.ops.stages.board import obstacles
    from bqx.ops.stages.run import runnable

    with _opened(app) as (project, _, board):
        rows: list[dict[str, Any]] = []
        for name in names or [s.id for s in board if runnable(board, s.id)]:
            board.plan.stage(name)
            homes = tuple(home.name for home in homes_of(name))
            todo = plan_build(project, Choice(datasets=homes))[0].as_dict() if homes else None
            rows.append(
                {"stage": name, "obstacles": obstacles(board, name), "partitions": todo["partitions"] if todo else 0,
                 "fresh": todo["fresh"] if todo else 0, "seconds": todo["seconds"] if todo else 0}
            )  # fmt: skip

    def show() -> None:
        for row in rows:
            click.echo(
                f"{row['stage']:8} {row['partitions']} partitions to build, {row['fresh']} fresh, "
                f"about {row['seconds']:.0f} s"
            )
            for against in row["obstacles"]:
                click.echo(f"         in the way: {against}")

    emit(rows, as_json, show)


def _line(name: str, what: Any) -> str:
    if isinstance(what, BqxError):
        return click.style(f"{name:8} failed: {what}", fg="red")
    state, reason, path = what.report
    words = {"fresh": "its evidence holds already", "passed": "validated"}.get(what.status, what.status)
    why = f" ({', '.join(what.reasons)})" if what.reasons else ""
    frees = f"; unblocks {len(what.unblocked)} stages" if what.unblocked else ""
    return f"{name:8} {words}{why} in {what.seconds:.1f} s{frees}; report {state} {path or reason}"


@stage.command()
@click.argument("name", metavar="STAGE")
@click.option("--evidence", type=int, default=None, help="Of an earlier evidence; the latest that was concluded else.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write it here as html, md and json.")
@json_option
@click.pass_obj
def report(app: App, name: str, evidence: int | None, out: Path | None, as_json: bool) -> None:
    """The execution report of a stage, made again from its evidence; Markdown on stdout unless --out."""
    from bqx.ops.stages.publish import publish, verify_report
    from bqx.ops.stages.report import stage_report

    with _opened(app) as (project, state, board):
        board.plan.stage(name)
        found = [e for e in (state.evidence(name) if state is not None else []) if "context" in e.content]
        chosen = [e for e in found if evidence in (None, e.id)]
        if state is None or not chosen:
            had = f"; it has {', '.join(str(e.id) for e in found)}" if found else ""
            raise UsageError(f"stage {name} has no such evidence{had}", fix=f"`bqx stage run {name}`")
        made = stage_report(chosen[-1])
        verify_report(made)
        paths = made.write(out, f"stage-{name.replace('.', '-')}") if out else []
        if out is None and state.report(chosen[-1].id)[0] != "published":
            publish(project, board.plan, state, chosen[-1])
    data = {**made.as_dict(), "paths": [str(p) for p in paths]}
    emit(data, as_json, "\n".join(str(p) for p in paths) if paths else made.markdown())


@stage.command()
@json_option
@click.pass_obj
def gaps(app: App, as_json: bool) -> None:
    """What is missing between plan, catalogue, store and evidence; columns by stage and status."""
    from bqx.ops.stages.gaps import find_gaps

    with _opened(app) as (project, _, board):
        found = find_gaps(project, board)

    def show() -> None:
        for gap in found.gaps:
            click.echo(f"{gap.weight:5} {gap.stage or 'plan':8} {gap.kind}: {gap.what}")
        total = sum(found.columns.values())
        click.echo(f"{total:,} counted columns in {len(found.columns)} stages: " + ", ".join(
            f"{n:,} {status}" for status, n in found.by_status.items() if n))  # fmt: skip
        click.echo(f"{sum(gap.weight == 'gap' for gap in found.gaps)} gaps")

    emit(found.as_dict(), as_json, show)


@stage.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@json_option
@click.pass_obj
def add(app: App, path: Path, as_json: bool) -> None:
    """Add risks, lessons, approvals and blockers from a YAML file; docs/stages.md has the keys."""
    from bqx.ops.plan.read import load_plan
    from bqx.ops.stages.register import add_file
    from bqx.ops.stages.state import PlanState

    with closing(app.open()) as project, closing(PlanState(project.root)) as state:
        found = add_file(load_plan(), state, path)
    emit(found, as_json, "\n".join(f"{kind}: {', '.join(ids)}" for kind, ids in found.items()))


@stage.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), metavar="[FILE]", required=False)
@click.option("--run", "run_name", metavar="NAME", help="Inputs of the signed models of a training run instead.")
@json_option
@click.pass_obj
def model(app: App, path: Path | None, run_name: str | None, as_json: bool) -> None:
    """Record a model's inputs: their stages become `in model`. FILE: {"model": name, "columns": [dataset.column]}."""
    from bqx.base.errors import UsageError
    from bqx.ops.plan.read import load_plan
    from bqx.ops.stages.models import read_model, record_model
    from bqx.ops.stages.state import PlanState
    from bqx.research.training.final import inputs
    from bqx.research.training.folder import open_run

    if (path is None) == (run_name is None):
        raise UsageError("give a file or --run NAME, one of the two")
    with closing(app.open()) as project, closing(PlanState(project.root)) as state:
        if path is not None:
            name, columns = read_model(path)
        else:
            run = open_run(project, str(run_name))
            name, columns = f"{run.name}@{run.hash[:12]}", inputs(run, project.root)
        found = record_model(project, load_plan(), state, name, columns)
    lines = [f"{stage:8} in model {name}: {len(mine)} columns" for stage, mine in found.items()]
    emit({"model": name, "stages": found}, as_json, "\n".join(lines))

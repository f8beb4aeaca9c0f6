"""`bqx build`: plan, run, status, verify, impact."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bqx.base.errors import UsageError
from bqx.base.process import keep_freed_memory
from bqx.cli.build_coverage import coverage
from bqx.cli.common import App, emit, json_option

if TYPE_CHECKING:
    from bqx.build.choice import Choice
    from bqx.build.project import Project

PROFILE_LINES = 20

F = TypeVar("F", bound=Callable[..., Any])


def choice_options(command: F) -> F:
    """What to build; everything unless narrowed."""
    for option in (
        click.option("--to", "last", metavar="YYYY_MM", help="Last month."),
        click.option("--from", "first", metavar="YYYY_MM", help="First month."),
        click.option("--columns", metavar="A,B", help="Only these columns (dataset.column, or a unique name)."),
        click.option("--datasets", metavar="A,B", help="Only these datasets."),
        click.option("--pairs", metavar="A,B", help="Only these pairs."),
    ):
        command = option(command)
    return command


def _choice(project: Project, options: dict[str, str | None]) -> Choice:
    from bqx.build.choice import Choice

    return Choice.parse(project.resolve_column, **options)


@click.group()
def build() -> None:
    """Plan, run, verify and explain builds of the feature store."""
    keep_freed_memory()  # before libraries begin threads, each of which would get a heap of its own


build.add_command(coverage)


@build.command()
@choice_options
@click.option("--force", is_flag=True, help="Build fresh partitions too.")
@click.option("--threads", type=click.IntRange(0), default=0, help="0: as configured.")
@json_option
@click.pass_obj
def plan(app: App, /, force: bool, threads: int, as_json: bool, **options: str | None) -> None:
    """What is missing or stale, and what building it will cost. Changes nothing."""
    from bqx.build.disk import human_bytes
    from bqx.build.progress import human_time
    from bqx.build.run import plan as make

    project = app.open()
    found, _ = make(project, _choice(project, options), threads=threads, force=force)

    def show() -> None:
        for unit in found.units:
            data = unit.as_dict()
            why = "; ".join(f"{reason} ({count})" for reason, count in unit.reasons.most_common())
            click.echo(
                f"{unit.ym}  {unit.dataset:24} {data['partitions']:4} partitions {unit.values:13,} values  {why}"
            )
        rates = found.as_dict()["rates"]
        click.echo(
            f"{len(found.units)} units, {found.partitions} partitions, {found.values:,} values to build; "
            f"{found.fresh} partitions are fresh"
        )
        if not found.units and not found.fresh:
            click.echo("there are no bars to build from: `bqx bars import FILES` or `bqx bars simulate`")
        if found.units:
            size = human_bytes(found.bytes)
            click.echo(
                f"about {human_time(found.seconds)} on {found.threads} threads, {size} on disk, "
                f"{human_bytes(found.memory)} of memory ({rates})"
            )

    emit(found.as_dict(), as_json, show)


@build.command()
@choice_options
@click.option("--force", is_flag=True, help="Build fresh partitions too.")
@click.option("--threads", type=click.IntRange(0), default=0, help="0: as configured.")
@click.option("--engine", default="threads", metavar="ENGINE", help="threads, processes or dask://host:port.")
@click.option("--retries", type=click.IntRange(0), default=None, help="Retries of a failed unit; else as configured.")
@click.option("--dry-run", is_flag=True, help="The same as `bqx build plan`.")
@click.option("--profile", is_flag=True, help="Then measure each column: ns a value, bytes, share.")
@json_option
@click.pass_context
def run(
    ctx: click.Context,
    /,
    force: bool,
    threads: int,
    engine: str,
    retries: int | None,
    dry_run: bool,
    profile: bool,
    as_json: bool,
    **options: str | None,
) -> None:
    """Build what is missing or stale. Interrupted or killed, run it again and it goes on."""
    if dry_run:
        ctx.invoke(plan, force=force, threads=threads, as_json=as_json, **options)
        return
    from bqx.build.disk import human_bytes
    from bqx.build.progress import human_time, make_progress
    from bqx.build.run import build as build_it
    from bqx.build.run import failed

    app: App = ctx.obj
    project = app.open()
    choice = _choice(project, options)
    report = build_it(
        project,
        choice,
        threads=threads,
        retries=retries,
        force=force,
        progress=lambda todo: make_progress(todo.values, log_json=app.log_json),
        check=False,
        note=lambda name: click.echo(f"compiling the kernels of {name} (once a version)", err=True),
        engine=engine,
        told=lambda line: click.echo(line, err=True),
    )

    def show() -> None:
        label = " from SIMULATED bars" if project.simulated else ""
        click.echo(
            f"{report.built} units built{label} ({report.partitions} partitions, {report.values:,} values, "
            f"{human_bytes(report.bytes)}), {len(report.failures)} failed, {report.fresh} partitions were fresh; "
            f"{human_time(report.seconds)}, {report.as_dict()['values_per_second']:,} values/s"
        )
        for failure in report.failures:
            click.echo(f"failed: {failure['dataset']} {failure['month']}: {failure['reason']}", err=True)

    if report.failures:
        emit(report.as_dict(), as_json, show)
        raise failed(report)
    if not profile:
        emit(report.as_dict(), as_json, show)
        return
    if not as_json:
        show()
    _profile(project, choice, report.as_dict(), as_json)


def _profile(project: Project, choice: Choice, report: dict[str, Any], as_json: bool) -> None:
    """Measure columns and show the costliest."""
    from dataclasses import asdict

    from bqx.build.profile import profile, summary

    found = profile(project, choice, note=lambda name: click.echo(f"profiling {name}", err=True))
    costliest = sorted(found, key=lambda cost: -cost.share)[:PROFILE_LINES]

    def show() -> None:
        click.echo(f"{'dataset':28} columns  ns/value  bytes/value  share")
        for name, row in summary(found).items():
            share = f"{row['share']:7.1%}"
            click.echo(f"{name:28} {row['columns']:7} {row['compute_ns']:9.1f} {row['bytes']:12.2f}{share}")
        click.echo("the costliest columns (alone: without what it shares with its neighbours)")
        for cost in costliest:
            name = f"{cost.dataset}.{cost.column}"
            click.echo(f"  {name:52} {cost.compute_ns:7.1f} ns/value, alone {cost.alone_ns:7.1f}  {cost.share:6.2%}")

    emit({"report": report, "profile": [asdict(cost) for cost in found]}, as_json, show)


@build.command()
@json_option
@click.pass_obj
def status(app: App, as_json: bool) -> None:
    """The last run, its failures, and who builds now."""
    from bqx.build.status import build_status

    data = build_status(app.open())

    def show() -> None:
        click.echo(f"held by: {data['lease'] or 'nobody'}")
        last = data["last_run"]
        if last is None:
            click.echo("no run yet")
        else:
            click.echo(
                f"last run {last['run_id']} {last['status']}, started {last['started']}: {last['built']} of "
                f"{last['planned_units']} units built, {len(last['failures'])} failed, {last['seconds']:.1f} s"
            )
        for failure in data["failures"]:
            click.echo(f"failed: {failure['dataset']} {failure['month']} ({failure['attempts']}x): {failure['reason']}")

    emit(data, as_json, show)


@build.command()
@choice_options
@click.option("--deep", is_flag=True, help="Read every file: bytes, rows, order, contents.")
@click.option("--recompute", type=click.IntRange(0), default=0, metavar="N", help="Build N partitions again, compare.")
@click.option("--seed", type=int, default=0, help="Which N.")
@json_option
@click.pass_obj
def verify(app: App, /, deep: bool, recompute: int, seed: int, as_json: bool, **options: str | None) -> None:
    """Rows against the calendar, NULL counts against warm-up and gaps, files against the manifest."""
    from bqx.build.verify import verify as check

    project = app.open()
    found = check(project, _choice(project, options), deep=deep, recompute=recompute, seed=seed)

    def show() -> None:
        for problem in found.problems:
            click.echo(f"{problem['partition']}: {problem['what']}", err=True)
        click.echo(
            f"{found.partitions} partitions, {found.values:,} values ({found.non_null:,} non-NULL) verified"
            f"{', files read' if deep else ''}, {found.recomputed} computed again; {len(found.problems)} problems; "
            f"{found.stale} stale and {found.missing} missing were not looked at"
        )

    emit(found.as_dict(), as_json, show)
    found.demand()


@build.command()
@click.option("--bar", nargs=2, metavar="PAIR TS", help="A corrected or added bar.")
@click.option("--holiday", metavar="DATE", help="A trade day that becomes (or is no more) a holiday.")
@click.option("--code", metavar="DATASET", help="A change of a dataset's code.")
@click.option("--corrected-from", metavar="IMPORT", help="What an import that was made did.")
@json_option
@click.pass_obj
def impact(
    app: App,
    bar: tuple[str, str] | None,
    holiday: str | None,
    code: str | None,
    corrected_from: str | None,
    as_json: bool,
) -> None:
    """What a change would make stale. Changes nothing."""
    from bqx.build import impact as room
    from bqx.market.pairs import parse_pair

    if sum(bool(given) for given in (bar, holiday, code, corrected_from)) != 1:
        raise UsageError("give exactly one of --bar, --holiday, --code, --corrected-from")
    project = app.open()
    if bar:
        found = room.impact_of_bar(project, parse_pair(bar[0]).name, _time(bar[1]))
    elif holiday:
        found = room.impact_of_holiday(project, _date(holiday))
    elif code:
        found = room.impact_of_code(project, code)
    else:
        found = room.impact_of_import(project, str(corrected_from))
    data = found.as_dict()

    def show() -> None:
        for name, entry in data["datasets"].items():
            months = entry["months"]
            span = months[0] if len(months) == 1 else f"{months[0]}..{months[-1]}"
            pairs = ", ".join(entry["pairs"]) if len(entry["pairs"]) <= 3 else f"{len(entry['pairs'])} pairs"
            why = "; ".join(entry["reasons"])
            click.echo(f"{name:24} {entry['partitions']:5} partitions  {span}  {pairs}  ({why})")
        click.echo(f"{found.change}: {data['partitions']} of {found.held} partitions would become stale")

    emit(data, as_json, show)


def _time(text: str) -> datetime:
    try:
        when = datetime.fromisoformat(text)
    except ValueError as exc:
        raise UsageError(f"{text!r} is not a time", fix="write it like 2024-07-01T12:00Z") from exc
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise UsageError(f"{text!r} is not a date", fix="write it like 2024-07-04") from exc

"""`bqx update`: new bars in, features and forecasts up to date; for cron."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import click

from bqx.cli.bars_reading import plan, reading
from bqx.cli.common import App, dry_run_option, emit, json_option


@click.command()
@reading
@click.option(
    "--overlap",
    type=click.Choice(["refuse", "newest", "keep", "replace"]),
    default="refuse",
    show_default=True,
    help="When another source's bars differ; see `bqx bars import`.",
)
@click.option("--datasets", default=None, help="Build only these, with commas; default all.")
@click.option("--models", "run", metavar="RUN", default=None, help="Then forecast with this run's models.")
@dry_run_option
@json_option
@click.pass_context
def update(
    ctx: click.Context, /, overlap: Any, datasets: str | None, run: str | None, dry_run: bool, as_json: bool,
    **given: Any,
) -> None:  # fmt: skip
    """Import PATHS (may be none), build what that made missing or stale, forecast. Run again it changes nothing;
    killed, run it again and it goes on. Two at once: the second says who is at work (exit code 7)."""
    from bqx.build.choice import Choice
    from bqx.build.importing import import_bars
    from bqx.build.run import build, failed
    from bqx.build.run import plan as plan_build

    app: App = ctx.obj
    data: dict[str, Any] = {"dry_run": dry_run, "imported": {}, "forecast": None}
    with closing(app.open()) as project:
        if given["paths"] or given["bid"]:
            jobs, options = plan(**given)
            done = import_bars(
                project, jobs, options, policy=overlap, dry_run=dry_run, tell=lambda line: click.echo(line, err=True)
            )
            data["imported"] = done.as_dict()["stored"]
        choice = Choice.parse(project.resolve_column, datasets=datasets)
        data["simulated"] = project.simulated
        if dry_run:
            todo, _ = plan_build(project, choice)
            data["units"], data["fresh"] = len(todo.units), todo.fresh
        else:
            note = "compiling the kernels of {} (once a version)"
            report = build(project, choice, check=False, note=lambda name: click.echo(note.format(name), err=True))
            data["units"], data["fresh"], data["failures"] = report.built, report.fresh, report.failures
    if run is not None and not dry_run and not data["failures"]:
        data["forecast"] = _forecast(ctx, run)

    def text() -> None:
        if data["simulated"]:
            click.echo("SIMULATED bars")
        for pair, result in data["imported"].items():
            click.echo(f"{pair}: {result['new']:,} new, {result['corrected']:,} corrected bars")
        done_ = "would be built" if dry_run else "built"
        click.echo(f"{data['units']} units {done_}, {data['fresh']} partitions were fresh")
        if run is None:
            click.echo("no forecasts: --models RUN makes them")

    emit(data, as_json, text)
    if not dry_run and report.failures:
        raise failed(report)


def _forecast(ctx: click.Context, run: str) -> str:
    """`bqx predict --models RUN`, which goes on where its files end."""
    from bqx.base.errors import UsageError
    from bqx.cli.main import root

    command = root.get_command(ctx, "predict")
    if command is None:
        raise UsageError("this version has no `bqx predict`", fix="leave --models out")
    command.main(["--models", run], standalone_mode=False, obj=ctx.obj)
    return run

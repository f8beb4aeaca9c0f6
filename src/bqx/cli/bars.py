"""`bqx bars`: import, simulate, check and list 1-minute bars."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bqx.cli.common import App, dry_run_option, emit, json_option

if TYPE_CHECKING:
    from bqx.market.importers.plan import Job
    from bqx.market.importers.read import ReadOptions

_FILE = click.Path(path_type=Path, dir_okay=False)
_READING = [
    click.argument("paths", nargs=-1, type=click.Path(path_type=Path)),
    click.option("--format", "kind", default="auto", help="auto, metatrader, fxcm or lean."),
    click.option("--pair", default=None, help="The pair of all files, when their names do not say it."),
    click.option("--utc-offset", default=None, help="The files' clock minus UTC, such as --utc-offset=-05:00."),
    click.option("--timezone", default=None, help="The files' time zone; brokers keep America/New_York+07:00."),
    click.option("--trust-clock", is_flag=True, help="Keep the clock you state although the weekly close disagrees."),
    click.option("--bid", type=_FILE, default=None, help="FXCM: the bid side, with --ask."),
    click.option("--ask", type=_FILE, default=None, help="FXCM: the ask side, with --bid."),
    click.option("--vendor", "--venue", default=None, help="Who made the bars; default: format and venue."),
    click.option("--licence", default="not stated", help="Licence of the bars, kept with the source."),
    click.option(
        "--crossed",
        type=click.Choice(["shallow", "keep", "quarantine"]),
        default="shallow",
        show_default=True,
        help="Rows with bid above ask: keep those within 2 bp, keep all, or quarantine all.",
    ),
]


def _reading(command: Callable[..., None]) -> Callable[..., None]:
    for decorate in reversed(_READING):
        command = decorate(command)
    return command


@click.group()
def bars() -> None:
    """Import, simulate, check and list 1-minute bars. See docs/importing.md."""


@bars.command("import")
@_reading
@click.option(
    "--overlap",
    type=click.Choice(["refuse", "newest"]),
    default="refuse",
    show_default=True,
    help="When another source's bars differ: refuse, or let these win.",
)
@dry_run_option
@json_option
@click.pass_obj
def import_(app: App, /, overlap: Any, dry_run: bool, as_json: bool, **reading: Any) -> None:
    """Import files and folders; the report and the quarantine go to imports/<id>/ of the project."""
    from bqx.build.importing import import_bars

    jobs, options = _plan(**reading)
    with closing(app.open()) as project:
        done = import_bars(
            project, jobs, options, policy=overlap, dry_run=dry_run, tell=lambda line: click.echo(line, err=True)
        )

    def text() -> None:
        for report in done.reports:
            _summary(report.as_dict())
        for pair, result in (done.results or {}).items():
            click.echo(f"{pair}: {result.new:,} new, {result.unchanged:,} unchanged, {result.corrected:,} corrected")
        click.echo("nothing was stored (dry run)" if done.folder is None else f"report: {done.folder / 'report.md'}")

    emit(done.as_dict(), as_json, text)


@bars.command()
@_reading
@json_option
@click.pass_obj
def check(app: App, /, as_json: bool, **reading: Any) -> None:
    """Validate files without importing them; needs no project."""
    from bqx.base.config import CONFIG_NAME
    from bqx.build.importing import read_and_judge
    from bqx.market.calendar import Calendar
    from bqx.market.importers.read import read_job

    jobs, options = _plan(**reading)
    if (app.project_path / CONFIG_NAME).is_file():
        with closing(app.open()) as project:
            found = [read_and_judge(project, job, options).report for job in jobs]
    else:
        calendar = Calendar.load()
        found = [read_job(job, calendar, options).report for job in jobs]
    reports = [report.as_dict() for report in found]

    def text() -> None:
        for report in reports:
            _summary(report)

    emit({"pairs": reports}, as_json, text)


@bars.command()
@click.option("--from", "start", required=True, help="First day or time, UTC: 2024-01-01.")
@click.option("--to", "end", required=True, help="End, not included.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--flavour", type=click.Choice(["random-walk", "planted"]), default="random-walk", show_default=True)
@click.option("--origin", default="2023-01-01", show_default=True, help="Where paths begin; at or before --from.")
@json_option
@click.pass_obj
def simulate(app: App, start: str, end: str, seed: int, flavour: Any, origin: str, as_json: bool) -> None:
    """Fill the project with simulated bars; everything shown of it then says so."""
    from bqx.base.errors import UsageError
    from bqx.market.calendar import month_span, months_between
    from bqx.market.simulated import simulate as make
    from bqx.market.simulated import simulated_source
    from bqx.store.known import known_us

    first, last, begin = (int(known_us(t) or 0) // 60_000_000 for t in (start, end, origin))
    if first >= last:
        raise UsageError(f"--from {start} is not before --to {end}")
    if begin > first:
        raise UsageError(f"--from {start} is before the origin {origin}", fix=f"add --origin {start}")
    total = {"new": 0, "unchanged": 0, "corrected": 0}
    with closing(app.open()) as project:
        source = simulated_source(seed, flavour, begin)
        for ym in months_between(first, last):
            a, b = month_span(ym)
            made = make(
                project.calendar,
                max(a, first),
                min(b, last),
                seed=seed,
                flavour=flavour,
                pairs=project.pairs,
                origin_minute=begin,
            )
            for pair, frame in made.items():
                if frame.height:
                    result = project.bars.ingest(pair, frame, source)
                    for key in total:
                        total[key] += getattr(result, key)
            click.echo(f"{ym}: {sum(f.height for f in made.values()):,} simulated bars", err=True)
        pairs = len(project.pairs)
    text = f"SIMULATED: {pairs} pairs, {total['new']:,} new, {total['unchanged']:,} unchanged bars"
    emit({"simulated": True, "pairs": pairs, "seed": seed, "flavour": flavour, **total}, as_json, text)


@bars.command("list")
@click.option("--as-of", default=None, help="List what was known at that time.")
@json_option
@click.pass_obj
def list_(app: App, as_of: str | None, as_json: bool) -> None:
    """Per pair: span, bars, sources, versions, and whether they are simulated."""
    from bqx.build.importing import list_bars

    with closing(app.open(as_of)) as project:
        rows = list_bars(project)

    def text() -> None:
        if not rows:
            click.echo("no bars; bqx bars import PATH or bqx bars simulate")
        for r in rows:
            label = "  SIMULATED" if r["simulated"] else ""
            click.echo(
                f"{r['pair']}  {r['first'][:16]} to {r['last'][:16]}  {r['bars']:>10,} bars  {r['months']} months, "
                f"up to {r['versions']} versions  {', '.join(r.get('sources', []))}{label}"
            )

    emit(rows, as_json, text)


def _plan(
    paths: tuple[Path, ...],
    kind: str,
    pair: str | None,
    utc_offset: str | None,
    timezone: str | None,
    trust_clock: bool,
    bid: Path | None,
    ask: Path | None,
    vendor: str | None,
    licence: str,
    crossed: str,
) -> tuple[list[Job], ReadOptions]:
    from bqx.base.errors import UsageError
    from bqx.market.fileclock import FileClock
    from bqx.market.importers.plan import plan_jobs
    from bqx.market.importers.read import ReadOptions

    clock = FileClock.parse(utc_offset, timezone)
    if trust_clock and clock is None:
        raise UsageError("--trust-clock has no clock to trust", fix="give --utc-offset or --timezone")
    jobs = plan_jobs(paths, format=kind, pair=pair, bid=bid, ask=ask)
    return jobs, ReadOptions(clock, trust_clock, crossed, vendor, licence)


def _summary(report: dict[str, Any]) -> None:
    gaps, clock = report["gaps"], report["clock"]
    click.secho(f"{report['pair']}  {report['format']}, {report['price_side']}", bold=True)
    click.echo(f"  {report['first']} to {report['last']}, {len(report['files'])} files")
    click.echo(f"  {report['rows']:,} rows: {report['bars']:,} bars, {report['quarantined']:,} in quarantine")
    click.echo(
        f"  clock {clock['clock']}: {clock['how']}, {clock['agreeing']} of {clock['weekly_closes']} weekly closes"
    )
    for note in clock["notes"]:
        click.secho(f"  note: {note}", fg="yellow")
    for f in report["findings"]:
        click.echo(f"  {f['kind']}: {f['count']:,} {f['action']}" + (f" ({f['note']})" if f["note"] else ""))
        for place in f["places"][:2]:
            click.echo(f"    {place['where']}  {place['ts']}  {place['detail']}")
    click.echo(
        f"  missing minutes: {gaps['fills']:,} will be carried, {gaps['unfilled']:,} stay empty ({gaps['holes']} holes)"
    )
    click.echo(f"  {len(report['weekends'])} closures: {'; '.join(w[4:14] for w in report['weekends'][:20])}")

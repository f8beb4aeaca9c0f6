"""`bqx bars`: import, fetch, simulate, check and list 1-minute bars."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import click

from bqx.cli.bars_check import check
from bqx.cli.bars_fetch import fetch
from bqx.cli.bars_reading import plan, reading, summary
from bqx.cli.common import App, dry_run_option, emit, json_option


@click.group()
def bars() -> None:
    """Import, fetch, simulate, check and list 1-minute bars. See docs/importing.md."""


@bars.command("import")
@reading
@click.option(
    "--overlap",
    type=click.Choice(["refuse", "newest", "keep", "replace"]),
    default="refuse",
    show_default=True,
    help="When another source's bars differ: refuse, these win, those stay, or these take their place in their span.",
)
@dry_run_option
@json_option
@click.pass_obj
def import_(app: App, /, overlap: Any, dry_run: bool, as_json: bool, **given: Any) -> None:
    """Import files and folders; the report and the quarantine go to imports/<id>/ of the project."""
    from bqx.build.importing import import_bars

    jobs, options = plan(**given)
    with closing(app.open()) as project:
        done = import_bars(
            project, jobs, options, policy=overlap, dry_run=dry_run, tell=lambda line: click.echo(line, err=True)
        )

    def text() -> None:
        for report in done.reports:
            summary(report.as_dict())
        for pair, result in (done.results or {}).items():
            more = "".join(f", {n:,} {name}" for name in ("kept", "removed") if (n := getattr(result, name)))
            counts = f"{result.new:,} new, {result.unchanged:,} unchanged, {result.corrected:,} corrected{more}"
            click.echo(f"{pair}: {counts}")
        click.echo("nothing was stored (dry run)" if done.folder is None else f"report: {done.folder / 'report.md'}")

    emit(done.as_dict(), as_json, text)


bars.add_command(check)
bars.add_command(fetch)


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

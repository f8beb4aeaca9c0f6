"""What `bqx bars import` and `check` share: the options that say how to read files, and a summary of what was read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from bqx.market.importers.plan import Job
    from bqx.market.importers.read import ReadOptions

_FILE = click.Path(path_type=Path, dir_okay=False)
_READING = [
    click.argument("paths", nargs=-1, type=click.Path(path_type=Path)),
    click.option("--pair", default=None, help="The pair of all files, when their names do not say it."),
]
_HOW = [
    click.option("--format", "kind", default="auto", help="auto, or one of docs/importing.md."),
    click.option("--utc-offset", default=None, help="The files' clock minus UTC, such as --utc-offset=-05:00."),
    click.option("--timezone", default=None, help="The files' time zone; brokers keep America/New_York+07:00."),
    click.option("--trust-clock", is_flag=True, help="Keep the clock you state although the weekly close disagrees."),
    click.option("--bid", type=_FILE, default=None, help="The bid side, with --ask."),
    click.option("--ask", type=_FILE, default=None, help="The ask side, with --bid."),
    click.option("--map", "columns", multiple=True, help="A table's columns: ts=time,open=o,high=h,low=l,close=c."),
    click.option("--map-file", type=_FILE, default=None, help="The same as TOML, see docs/importing.md."),
    click.option("--ts-format", default=None, help="Form of a table's times: '%d/%m/%Y %H:%M', epoch_s, epoch_ms."),
    click.option("--side", default=None, help="What a table's prices are: vendor, bid, ask or mid."),
    click.option(
        "--spread",
        type=click.Choice(["ignore", "ask"]),
        default="ignore",
        show_default=True,
        help="MetaTrader: leave spreads alone, or take prices as bid and add the spread for the ask.",
    ),
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


def reading(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options; `plan` takes them."""
    for decorate in reversed([*_READING, *_HOW]):
        command = decorate(command)
    return command


def how_to_read(command: Callable[..., None]) -> Callable[..., None]:
    """The same without paths and pair, for commands that have those of their own."""
    for decorate in reversed(_HOW):
        command = decorate(command)
    return command


def plan(
    *,
    paths: tuple[Path, ...],
    kind: str,
    pair: str | None,
    utc_offset: str | None,
    timezone: str | None,
    trust_clock: bool,
    bid: Path | None,
    ask: Path | None,
    columns: tuple[str, ...],
    map_file: Path | None,
    ts_format: str | None,
    side: str | None,
    spread: str,
    vendor: str | None,
    licence: str,
    crossed: str,
) -> tuple[list[Job], ReadOptions]:
    """What the options of `reading` ask for."""
    from bqx.base.errors import UsageError
    from bqx.market.fileclock import FileClock
    from bqx.market.importers.layout import parse_layout
    from bqx.market.importers.plan import plan_jobs
    from bqx.market.importers.read import ReadOptions

    clock = FileClock.parse(utc_offset, timezone)
    if trust_clock and clock is None:
        raise UsageError("--trust-clock has no clock to trust", fix="give --utc-offset or --timezone")
    layout = parse_layout(columns, map_file, ts_format, side)
    jobs = plan_jobs(paths, format=kind, pair=pair, bid=bid, ask=ask, layout=layout, spread=spread)
    return jobs, ReadOptions(clock, trust_clock, crossed, vendor, licence)


def summary(report: dict[str, Any]) -> None:
    """A pair's report in a few lines."""
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

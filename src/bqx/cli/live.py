"""`bqx live`: features minute by minute, and the state they are made from."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bqx.cli.common import App, dry_run_option, emit, json_option

if TYPE_CHECKING:
    from bqx.build.project import Project
    from bqx.features.declare import Dataset
    from bqx.serve.live.engine import Engine
    from bqx.serve.live.run import LiveRun

datasets_option = click.option("--datasets", default=None, help="Only these, with commas; default all.")


@click.group()
def live() -> None:
    """Features minute by minute, to the bit what `bqx build` gives. See docs/live.md."""


@live.command()
@click.option("--file", "path", type=click.Path(path_type=Path), default=None, help="A CSV file that grows.")
@click.option("--oanda", type=click.File("rb"), default=None, help="Lines of OANDA's v20 pricing stream; - for stdin.")
@click.option("--minutes", type=click.IntRange(1), default=None, help="Stop after so many.")
@click.option("--grace", type=click.FloatRange(0), default=10.0, show_default=True, help="Seconds a late bar may take.")
@datasets_option
@json_option
@click.pass_obj
def run(
    app: App, path: Path | None, oanda: Any, minutes: int | None, grace: float, datasets: str | None, as_json: bool
) -> None:
    """Take bars from a feed until it ends or Ctrl-C; running it again goes on where it stopped."""
    from bqx.base.errors import UsageError
    from bqx.serve.live.feeds.growing import GrowingFile
    from bqx.serve.live.feeds.oanda import OandaStream
    from bqx.serve.live.feeds.port import Feed
    from bqx.serve.live.run import live_run

    if (path is None) == (oanda is None):
        raise UsageError("live needs one feed", fix="give --file or --oanda")
    with closing(app.open()) as project, closing(_engine(project, datasets)) as engine:
        feed: Feed = GrowingFile(path) if path is not None else OandaStream(oanda, engine.pairs)
        with closing(feed):
            running = live_run(engine, feed, grace)
            try:
                running.run(minutes, _told)
            except KeyboardInterrupt:
                click.echo("stopped; the journal has every minute that was taken", err=True)
            engine.save()
    _summary(running, project, as_json)


@live.command()
@click.option("--from", "start", required=True, help="First minute, UTC: 2024-07-01T12:00Z.")
@click.option("--to", "end", default=None, help="End, not included; default the last bar.")
@click.option("--speed", type=click.FloatRange(0), default=0.0, help="Times real time; 0 for as fast as it goes.")
@click.option("--check", is_flag=True, help="Compare every value with batch.")
@datasets_option
@json_option
@click.pass_obj
def replay(
    app: App, start: str, end: str | None, speed: float, check: bool, datasets: str | None, as_json: bool
) -> None:
    """Stored bars as if they came now, in a folder of its own; the live state is not touched."""
    from tempfile import TemporaryDirectory

    from bqx.base.errors import CheckError, UsageError
    from bqx.serve.live.feeds.replay import Replay
    from bqx.serve.live.replay_check import Recorder, differences
    from bqx.serve.live.run import live_run
    from bqx.store.known import known_us

    first = int(known_us(start) or 0) // 60_000_000
    with closing(app.open()) as project:
        last = max((s[1] for s in project.bars.spans().values()), default=-1) + 1
        stop = min(int(known_us(end) or 0) // 60_000_000, last) if end else last
        if first >= stop:
            raise UsageError(f"--from {start} is not before the end of the replay")
        seen = Recorder()
        with (
            TemporaryDirectory(prefix="bqx-replay-") as folder,
            closing(_engine(project, datasets, Path(folder), through=first - 1)) as engine,
        ):
            feed = Replay(project.bars, project.calendar, engine.pairs, first, stop, speed=speed)
            running = live_run(engine, feed)
            running.run(told=seen if check else _told)
            homes = engine.homes
        found = differences(project, homes, seen) if check and seen.minutes else None
        _summary(running, project, as_json, found)
    if found is not None and not found["equal"]:
        raise CheckError(f"{len(found['differing'])} columns differ from batch", fix="report it: live must equal batch")


@live.command()
@click.option("--every", type=click.FloatRange(1), default=5.0, show_default=True, help="Seconds between looks.")
@click.option("--once", is_flag=True, help="Append what there is and end.")
@json_option
@click.pass_obj
def append(app: App, every: float, once: bool, as_json: bool) -> None:
    """Follow the stored bars and append their rows to the store, until Ctrl-C. Other commands import the bars; what
    cannot be appended (corrected bars, a pair that was silent for hours) is left to `bqx build run`."""
    import time

    from bqx.serve.live.appender import Appender

    total = {"appends": 0, "minutes": 0, "rows": 0, "values": 0, "left": 0}
    with (
        closing(app.open()) as project,
        closing(Appender(project, note=lambda line: click.echo(line, err=True))) as appender,
    ):
        try:
            while True:
                done = appender.append()
                if done.rows or once:
                    total["appends"] += 1
                    for name in ("minutes", "rows", "values"):
                        total[name] += getattr(done, name)
                    click.echo(
                        f"{done.rows:,} rows in {done.seconds['all']:.2f} s, {done.left} partitions left", err=True
                    )
                total["left"] = done.left
                if once:
                    break
                appender.engine.prepare()
                time.sleep(every)
        except KeyboardInterrupt:
            click.echo("stopped; what was appended stays", err=True)
        simulated = project.simulated
    text = f"{total['rows']:,} rows of {total['minutes']:,} minutes appended, {total['left']} partitions left to build"
    emit({**total, "simulated": simulated}, as_json, ("SIMULATED bars\n" if simulated else "") + text)


@live.group()
def state() -> None:
    """Snapshots of the live state: look, save, fork, rebuild."""


@state.command()
@json_option
@click.pass_obj
def show(app: App, as_json: bool) -> None:
    """Each snapshot, and whether it could be used now."""
    from bqx.serve.live.status import states

    with closing(app.open()) as project:
        rows = states(project)

    def text() -> None:
        for row in rows:
            click.echo(f"{row['minute']}  {row['bytes'] / 1e6:8.1f} MB  {row['verdict']}")
        if not rows:
            click.echo("no live state; `bqx live run` makes one from the stored bars")

    emit(rows, as_json, text)


@state.command()
@datasets_option
@json_option
@dry_run_option
@click.pass_obj
def rebuild(app: App, datasets: str | None, as_json: bool, dry_run: bool) -> None:
    """Put the state and its journal aside and begin again from the stored bars."""
    from bqx.serve.live.status import put_aside

    with closing(app.open()) as project:
        moved = put_aside(project, dry_run=dry_run)
        data: dict[str, Any] = {"put_aside": moved, "dry_run": dry_run}
        if not dry_run:
            with closing(_engine(project, datasets)) as engine:
                data["newest"] = engine.newest.minute
    emit(
        data,
        as_json,
        f"{'would put' if dry_run else 'put'} {len(moved)} files aside" + ("" if dry_run else "; begun again"),
    )


@state.command()
@click.argument("folder", type=click.Path(path_type=Path))
@datasets_option
@json_option
@click.pass_obj
def fork(app: App, folder: Path, datasets: str | None, as_json: bool) -> None:
    """A copy of the live state in FOLDER, from which another engine can go on."""
    with closing(app.open()) as project, closing(_engine(project, datasets)) as engine:
        path = engine.fork(folder)
    emit({"state": str(path)}, as_json, f"forked to {path}")


def _engine(project: Project, datasets: str | None, folder: Path | None = None, through: int | None = None) -> Engine:
    from bqx.serve.live.engine import Engine

    return Engine(
        project, _homes(project, datasets), folder, note=lambda line: click.echo(line, err=True), through=through
    )


def _homes(project: Project, datasets: str | None) -> list[Dataset] | None:
    from bqx.features.catalogue import dataset

    return [dataset(name.strip()) for name in datasets.split(",")] if datasets else None


def _told(engine: Engine) -> None:
    from bqx.market.calendar import datetime_of

    click.echo(f"{datetime_of(engine.newest.minute):%Y-%m-%dT%H:%MZ}", err=True)


def _summary(running: LiveRun, project: Project, as_json: bool, check: dict[str, Any] | None = None) -> None:
    data = running.summary()
    data["simulated"] = project.simulated
    if check is not None:
        data["check"] = check

    def text() -> None:
        if data["simulated"]:
            click.echo("SIMULATED bars")
        click.echo(f"{data['minutes']} minutes, newest {data['newest']}; slowest {data['slowest_minute_ms']:.1f} ms")
        click.echo("bars: " + (", ".join(f"{n:,} {name}" for name, n in sorted(data["bars"].items())) or "none"))
        if check is not None:
            click.echo(
                f"{check['compared']:,} values against batch: "
                + (
                    "equal to the bit"
                    if check["equal"]
                    else f"{len(check['differing'])} columns differ: {check['differing']}"
                )
            )

    emit(data, as_json, text)

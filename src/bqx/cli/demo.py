"""`bqx demo`: the main job from bars to an honest answer, as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bqx.cli.common import App, emit, json_option


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("demo-out"), show_default=True,
              help="Folder of the page and, in project/, of the project.")  # fmt: skip
@click.option("--bars", "paths", type=click.Path(path_type=Path), multiple=True,
              help="Your files or folders instead of the simulated market; may be repeated.")  # fmt: skip
@click.option("--pair", default=None, help="The pair of --bars files whose names do not say it.")
@click.option("--utc-offset", default=None, help="The clock of --bars files minus UTC, such as --utc-offset=-05:00.")
@click.option("--timezone", default=None, help="The time zone of --bars files.")
@click.option("--pairs", metavar="A,B", default=None, help="Simulate these pairs only; all 28 unless given.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the simulated market.")
@click.option("--flavour", type=click.Choice(["random-walk", "planted"]), default="random-walk", show_default=True,
              help="Simulate a market without or with a planted effect.")  # fmt: skip
@click.option("--months", type=click.IntRange(1, 24), default=None, help="Months to build: 1, or all that --bars hold.")
@click.option("--threads", type=click.IntRange(0), default=0, help="0: one a core.")
@click.option("--keep/--no-keep", default=True, show_default=True, help="Keep the project beside the page.")
@json_option
@click.pass_obj
def demo(
    app: App,
    out: Path,
    paths: tuple[Path, ...],
    pair: str | None,
    utc_offset: str | None,
    timezone: str | None,
    pairs: str | None,
    seed: int,
    flavour: Any,
    months: int | None,
    threads: int,
    keep: bool,
    as_json: bool,
) -> None:
    """Simulate 28 pairs (or take your bars), build every dataset, verify, answer, and write one page about it.

    Run again in the same folder, it skips what is fresh.
    """
    from bqx.base.errors import UsageError
    from bqx.market.fileclock import FileClock
    from bqx.market.pairs import PAIRS
    from bqx.ops.demo import DemoOptions, run_demo

    if paths and pairs:
        raise UsageError("--pairs chooses simulated pairs; --bars brings its own", fix="leave one of them out")
    if (pair or utc_offset or timezone) and not paths:
        raise UsageError("--pair, --utc-offset and --timezone describe --bars files", fix="give --bars PATH")
    chosen = [part for part in (pairs or "").replace(",", " ").split() if part]
    options = DemoOptions(
        out=out,
        bars=paths,
        pair=pair,
        clock=FileClock.parse(utc_offset, timezone),
        pairs=chosen or PAIRS,
        seed=seed,
        flavour=flavour,
        months=months,
        threads=threads,
        keep=keep,
        log_json=app.log_json,
    )
    result = run_demo(options, lambda line: click.echo(line, err=as_json))

    def text() -> None:
        label = "SIMULATED DATA: " if result.facts.simulated else ""
        click.echo(f"page: {result.page}")
        click.secho(f"{label}{result.verdict}", bold=True)

    emit(result.as_dict(), as_json, text)
    result.demand()

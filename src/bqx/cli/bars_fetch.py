"""`bqx bars fetch`: download days of minute candles, and import them when asked to."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bqx.cli.common import App, dry_run_option, emit, json_option

if TYPE_CHECKING:
    from datetime import date

    from bqx.build.fetching import FetchPlan, FetchReport


@click.command()
@click.option("--vendor", type=click.Choice(["dukascopy"]), required=True, help="Whose layout the server has.")
@click.option("--base-url", required=True, help="Address above the pairs' folders; ask the vendor. None is built in.")
@click.option("--pair", "pairs", multiple=True, required=True, help="A pair, or several: --pair EURUSD --pair USDJPY.")
@click.option("--from", "start", required=True, help="First day, UTC: 2024-01-01.")
@click.option("--to", "end", required=True, help="End day, not included.")
@click.option("--rate", type=float, default=2.0, show_default=True, help="Requests a second, at most.")
@click.option("--retries", type=click.IntRange(0), default=5, show_default=True, help="Further tries for a file.")
@click.option("--timeout", type=float, default=30.0, show_default=True, help="Seconds that a file may take.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=None, help="Folder [default: PROJECT/downloads]."
)
@click.option("--import", "then_import", is_flag=True, help="Import what is on disk of these days afterwards.")
@click.option(
    "--overlap", type=click.Choice(["refuse", "newest", "keep", "replace"]), default="refuse", help="With --import."
)
@click.option("--licence", default="not stated", help="With --import: kept with the source.")
@dry_run_option
@json_option
@click.pass_obj
def fetch(
    app: App,
    /,
    vendor: str,
    base_url: str,
    pairs: tuple[str, ...],
    start: str,
    end: str,
    rate: float,
    retries: int,
    timeout: float,
    out: Path | None,
    then_import: bool,
    overlap: Any,
    licence: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Download minute candles, both sides, one file a day. Files that are whole stay; run it again to go on."""
    from bqx.base.download import Downloader
    from bqx.build.fetching import fetch as run
    from bqx.build.fetching import plan_fetch
    from bqx.market.calendar import Calendar
    from bqx.market.pairs import parse_pair

    server = Downloader(base_url, rate, retries, timeout)
    names = list(dict.fromkeys(parse_pair(p).name for p in pairs))
    folder = out or app.project_path / "downloads" / vendor
    plan = plan_fetch(names, _day(start), _day(end), folder, Calendar.load())
    if dry_run:
        data = {"dry_run": True, "wanted": len(plan.wanted), "present": len(plan.present), "missing": plan.missing}
        seconds = len(plan.missing) / rate
        text = f"{len(plan.missing):,} of {len(plan.wanted):,} files to fetch, {seconds:,.0f} s at the least"
        emit(data, as_json, text)
        return
    report = run(plan, server, tell=lambda line: click.echo(line, err=True))
    imported = _import(app, plan, overlap, licence) if then_import and not report.failed else None
    emit(
        {"dry_run": False, "folder": str(folder), **report.as_dict(), "import": imported},
        as_json,
        lambda: _tell(report, folder, imported),
    )
    report.require_all()


def _day(text: str) -> date:
    from datetime import date

    from bqx.base.errors import UsageError

    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise UsageError(f"{text!r} is not a day", fix="write it as 2024-01-31") from exc


def _import(app: App, plan: FetchPlan, overlap: Any, licence: str) -> dict[str, Any]:
    from bqx.build.importing import import_bars
    from bqx.market.importers.plan import plan_jobs
    from bqx.market.importers.read import ReadOptions

    jobs = plan_jobs(plan.files, format="bi5")
    with closing(app.open()) as project:
        return import_bars(project, jobs, ReadOptions(licence=licence), policy=overlap).as_dict()


def _tell(report: FetchReport, folder: Path, imported: dict[str, Any] | None) -> None:
    click.echo(f"{report.fetched:,} files fetched, {report.bytes / 1e6:.2f} MB, {report.retries} retries: {folder}")
    click.echo(
        f"{report.present:,} were there, {len(report.absent):,} the server does not have, {len(report.failed):,} failed"
    )
    for pair, result in (imported or {}).get("stored", {}).items():
        click.echo(
            f"{pair}: {result['new']:,} new, {result['unchanged']:,} unchanged, {result['corrected']:,} corrected"
        )

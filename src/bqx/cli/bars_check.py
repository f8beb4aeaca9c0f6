"""`bqx bars check`: judge files, or the project's bars, and their cross rates, without storing anything."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from bqx.cli.bars_reading import plan, reading, summary
from bqx.cli.common import App, emit, json_option

if TYPE_CHECKING:
    import polars as pl

    from bqx.market.triangles import TriangleReport

    Checked = tuple[list[dict[str, Any]], dict[str, pl.DataFrame], bool]
    """Reports of files, closes of each pair, whether they are simulated."""


@click.command()
@reading
@click.option("--stored", is_flag=True, help="Check the project's bars instead of files: their triangles.")
@click.option("--from", "start", default=None, help="With --stored: first day or time, UTC.")
@click.option("--to", "end", default=None, help="With --stored: end, not included.")
@click.option("--triangles/--no-triangles", default=True, show_default=True, help="Test cross rates where pairs allow.")
@click.option("--tolerance", type=float, default=None, help="Basis points for triangles without quotes [default: 5].")
@click.option("--max-broken", type=float, default=None, help="Share of minutes that may break [default: 0.001].")
@json_option
@click.pass_obj
def check(
    app: App,
    /,
    stored: bool,
    start: str | None,
    end: str | None,
    triangles: bool,
    tolerance: float | None,
    max_broken: float | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Validate files without importing them (needs no project), or with --stored the project's bars.

    Where three pairs make a triangle (EURUSD x USDJPY = EURJPY), minutes that break it are named with the pair to
    blame; exit 5 when more than --max-broken of the minutes do.
    """
    from bqx.base.errors import CheckError, UsageError

    if stored and given["paths"]:
        raise UsageError("--stored takes no files", fix="give files, or --stored")
    if not stored and (start or end):
        raise UsageError("--from and --to belong to --stored", fix="add --stored")
    reports, frames, simulated = _stored(app, start, end) if stored else _files(app, given)
    found = _triangles(frames, tolerance, max_broken) if triangles else None

    def text() -> None:
        for report in reports:
            summary(report)
        if found:
            _tell(found, "  SIMULATED" if simulated else "")

    data = {"pairs": reports, "triangles": found.as_dict() if found else None, "simulated": simulated}
    emit(data, as_json, text)
    if found and not found.minutes and stored:
        raise CheckError("no minute has three pairs of a triangle", fix="import pairs of the same days")
    if found and found.minutes and not found.passed:
        raise CheckError(
            f"{found.broken:,} of {found.minutes:,} minutes break a triangle ({found.share:.3%}, at most "
            f"{found.max_share:.3%} may)",
            where=", ".join(found.pairs) or None,
            fix="look at the pairs and minutes named; is a clock off, or a file of another pair?",
        )


def _files(app: App, given: dict[str, Any]) -> Checked:
    from bqx.base.config import CONFIG_NAME
    from bqx.build.importing import read_and_judge
    from bqx.market.calendar import Calendar
    from bqx.market.importers.read import read_job

    jobs, options = plan(**given)
    if (app.project_path / CONFIG_NAME).is_file():
        with closing(app.open()) as project:
            found = [read_and_judge(project, job, options) for job in jobs]
    else:
        calendar = Calendar.load()
        found = [read_job(job, calendar, options) for job in jobs]
    twice = {done.pair for k, done in enumerate(found) if done.pair in [other.pair for other in found[:k]]}
    for pair in sorted(twice):
        click.echo(f"{pair} comes from several sources: it is left out of the triangles", err=True)
    frames = {done.pair: _closes(done.frame) for done in found if done.pair not in twice}
    return [done.report.as_dict() for done in found], frames, False


def _stored(app: App, start: str | None, end: str | None) -> Checked:
    from bqx.base.errors import UsageError
    from bqx.market.triangles import triangles_of
    from bqx.store.known import known_us

    with closing(app.open()) as project:
        have = list(project.bars.spans())
        if not triangles_of(have):
            raise UsageError(
                f"the project's {len(have)} pairs with bars make no triangle",
                fix="import three pairs of three currencies, such as EURUSD, USDJPY and EURJPY",
            )
        first, last = (None if t is None else int(known_us(t) or 0) // 60_000_000 for t in (start, end))
        span = (first if first is not None else 0, last if last is not None else 1 << 40)
        frames = {pair: _closes(project.bars.read([pair], *span)[pair]) for pair in have}
        return [], frames, project.simulated


def _closes(frame: pl.DataFrame) -> pl.DataFrame:
    """What the triangles need; the rest is let go."""
    return frame.select("ts_utc", "close", "bid_close", "ask_close")


def _triangles(
    frames: dict[str, pl.DataFrame], tolerance: float | None, max_broken: float | None
) -> TriangleReport | None:
    from bqx.market.triangles import MAX_SHARE, TOLERANCE_BP, check_triangles, triangles_of

    if not triangles_of(list(frames)):
        return None
    return check_triangles(
        frames,
        tolerance_bp=TOLERANCE_BP if tolerance is None else tolerance,
        max_share=MAX_SHARE if max_broken is None else max_broken,
    )


def _tell(found: TriangleReport, label: str) -> None:
    click.secho(f"{len(found.by_triangle)} triangles{label}", bold=True)
    without = found.tests - found.with_quotes
    allowed = (
        "within their spreads" if not without else f"within spreads, {found.tolerance_bp:g} bp where there are none"
    )
    click.echo(f"  {found.tests:,} tests in {found.minutes:,} minutes, {allowed}")
    click.echo(f"  {found.broken:,} minutes broken ({found.share:.4%}), {found.broken_tests:,} tests")
    for pair, minutes in found.pairs.items():
        click.secho(f"  {pair}: to blame in {minutes:,} minutes", fg="yellow")
    if found.unnamed:
        click.echo(f"  no single pair to blame in {found.unnamed:,} minutes")
    for b in found.breaks:
        who = b.pair or "one of " + ", ".join(b.among)
        click.echo(
            f"    {b.first[:16]} to {b.last[11:16]}  {b.minutes:,} min  {who}: {b.worst_bp:g} bp off where "
            f"{b.allowed_bp:.3g} is allowed, in {b.triangles} of {b.of} triangles"
        )

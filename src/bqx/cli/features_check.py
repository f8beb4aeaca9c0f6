"""`bqx features check`: prove columns on the project's bars, on files, or on simulated bars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bqx.cli.bars_reading import how_to_read
from bqx.cli.common import App, emit, json_option
from bqx.cli.features_homes import homes as homes_of

if TYPE_CHECKING:
    from bqx.build.certificate import Certificate
    from bqx.build.coverage import Coverage
    from bqx.build.project import Project
    from bqx.features.checks import CheckResult, World
    from bqx.features.declare import Dataset
    from bqx.market.importers.read import SourceBars


@dataclass
class _Bars:
    """What is checked on. reports : of the files that were read."""

    world: World
    simulated: bool
    project: Project | None = None
    reports: list[dict[str, Any]] = field(default_factory=list)


@click.command()
@click.option("--dataset", "only", multiple=True, help="Only these datasets.")
@click.option("--check", "checks", multiple=True, help="Only these checks (default all).")
@click.option(
    "--bars", "files", multiple=True, type=click.Path(path_type=Path), help="Check on these files or folders."
)
@click.option(
    "--pair",
    "pairs",
    multiple=True,
    help="Pairs to check on (default three, of panel datasets all); of --bars: the files' pair.",
)
@click.option("--days", type=click.IntRange(1), default=None, help="Days of bars [default: what warm-ups need].")
@click.option("--simulated", is_flag=True, help="Check on simulated bars; needs no project.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the certificates as JSON.")
@how_to_read
@json_option
@click.pass_obj
def check(
    app: App,
    /,
    only: tuple[str, ...],
    checks: tuple[str, ...],
    files: tuple[Path, ...],
    pairs: tuple[str, ...],
    days: int | None,
    simulated: bool,
    out: Path | None,
    as_json: bool,
    **how: Any,
) -> None:
    """Prove P1-P4, bounds, NULL pattern, redundancy and references of columns; exit 5 when one fails.

    On the project's own bars, which stores a certificate a column; or with --bars on files in any format that
    `bqx bars import` reads (options such as --timezone say how), which needs no project. A check that has fewer than
    500 values to compare has failed too: "too short" says how many days of bars the column needs, "no data" that the
    source has no volume or quotes.
    """
    from bqx.base.errors import UsageError
    from bqx.build.certify import certify, write_certificates
    from bqx.features.checks import CHECKS

    unknown = [c for c in checks if c not in CHECKS]
    if unknown:
        raise UsageError(f"unknown check {unknown[0]!r}", fix=f"one of {', '.join(CHECKS)}")
    own = bool(files or how["bid"])
    if own and simulated:
        raise UsageError("--bars and --simulated are two kinds of bars", fix="give one of them")
    homes = homes_of(app, only)
    made: list[Certificate] = []
    with ExitStack() as stack:
        bars = _bars(app, stack, homes, files if own else None, pairs, days, simulated, how)
        results = certify(
            bars.project, homes, bars.world, list(checks) or list(CHECKS), simulated=bars.simulated, made=made
        )
        found = list(_told(results, homes, quiet=app.log_json))
        coverage = _coverage(homes, bars) if own else None
    if out is not None:
        write_certificates(out, made)
    outcomes = Counter(r.outcome for r in found)
    label = ", SIMULATED bars" if bars.simulated else ""
    summary = (
        f"{len(found)} checks of columns, {sum(r.compared for r in found):,} values compared, "
        f"{outcomes['failed']} failed, {outcomes['too short']} too short of bars, "
        f"{outcomes['no data']} without data{label}"
    )

    def text() -> None:
        for result in _shown(found):
            click.echo(f"{result.outcome.upper():9} {result.check}  {result.dataset}.{result.column}: {result.reason}")
        if coverage is not None:
            _tell_nulls(coverage)
        click.echo(summary)

    rows = [r.as_dict() for r in found]
    nulls = coverage.as_dict()["columns"] if coverage is not None else None
    emit({"results": rows, "bars": bars.reports, "nulls": nulls} if own else rows, as_json, text)
    _demand(found, summary)


def _bars(
    app: App,
    stack: ExitStack,
    homes: Sequence[Dataset],
    files: tuple[Path, ...] | None,
    pairs: tuple[str, ...],
    days: int | None,
    simulated: bool,
    how: dict[str, Any],
) -> _Bars:
    if simulated:
        return _Bars(_simulated_world(homes, pairs, days), True)
    if files is not None:
        return _files(app, files, pairs, days, how)
    from bqx.build.certify import project_world

    project = stack.enter_context(closing(app.open()))
    return _Bars(project_world(project, homes, pairs, days), project.simulated, project)


def _files(app: App, files: tuple[Path, ...], pairs: tuple[str, ...], days: int | None, how: dict[str, Any]) -> _Bars:
    from bqx.base.config import CONFIG_NAME
    from bqx.base.errors import UsageError
    from bqx.build.certify import files_world
    from bqx.cli.bars_reading import plan
    from bqx.market.calendar import Calendar

    if len(pairs) > 1:
        raise UsageError("--pair of --bars is the pair of all files", fix="give it once, or name the files by pair")
    jobs, options = plan(paths=files, pair=pairs[0] if pairs else None, **how)
    calendar = Calendar.load()
    if (app.project_path / CONFIG_NAME).is_file():
        with closing(app.open()) as project:
            calendar = project.calendar
    world, read = files_world(jobs, calendar, options, days, tell=_tell_read)
    return _Bars(world, False, None, [done.report.as_dict() for done in read])


def _tell_read(done: SourceBars) -> None:
    report, names = done.report, ", ".join(f.name for f in done.source.files[:3])
    more = f" and {len(done.source.files) - 3} more" if len(done.source.files) > 3 else ""
    click.echo(
        f"{done.pair}: {report.bars:,} bars, {report.quarantined:,} in quarantine, "
        f"from {done.source.vendor} ({names}{more})",
        err=True,
    )


def _told(results: Iterable[CheckResult], homes: Sequence[Dataset], *, quiet: bool) -> Iterator[CheckResult]:
    """The results, with a line on stderr when a dataset begins."""
    current = ""
    order = [home.name for home in homes]
    for result in results:
        if result.dataset != current and not quiet:
            current = result.dataset
            columns = len(homes[order.index(current)].columns)
            click.echo(f"checking {current}: {columns} columns ({order.index(current) + 1} of {len(order)})", err=True)
        yield result


def _shown(found: Sequence[CheckResult]) -> Iterator[CheckResult]:
    """Failures one by one; of a column that is too short or without data only the first check."""
    told: set[tuple[str, str, str]] = set()
    for result in found:
        key = (result.dataset, result.column, result.outcome)
        if not result.passed and (result.outcome == "failed" or key not in told):
            told.add(key)
            yield result


def _coverage(homes: Sequence[Dataset], bars: _Bars) -> Coverage:
    from bqx.build.coverage import world_coverage

    return world_coverage(homes, bars.world, bars.simulated)


def _tell_nulls(coverage: Coverage) -> None:
    from bqx.build.coverage_table import null_lines

    for line in null_lines(coverage.by("dataset", "column")):
        click.echo(line)


def _demand(found: Sequence[CheckResult], summary: str) -> None:
    """Exit 5, naming the first failure, or what was too short."""
    from bqx.base.errors import CheckError

    bad = sorted((r for r in found if not r.passed), key=lambda r: r.outcome != "failed")
    if bad:
        first = bad[0]
        raise CheckError(summary, where=f"{first.dataset}.{first.column}", fix=f"{first.check}: {first.reason}")


def _simulated_world(homes: Sequence[Dataset], pairs: Sequence[str], days: int | None) -> World:
    from bqx.features.checks import World
    from bqx.features.checks.reach import few_of, longest
    from bqx.features.checks.world import trading_day_after
    from bqx.market.calendar import DAY, Calendar, minute_of
    from bqx.market.pairs import PAIRS
    from bqx.market.simulated import simulate

    calendar = Calendar.load()
    end = minute_of(datetime(2024, 3, 17, 22, tzinfo=UTC))  # a month ends and New York's clock changes before it
    start = calendar.segment_start(end - (days or longest(homes, calendar, end)) * DAY)
    names, few = (list(pairs), ()) if pairs else few_of(homes, PAIRS, ("eurusd", "usdjpy", "audnzd"))
    frames = simulate(calendar, start, end, seed=1, pairs=names, origin_minute=start)
    return World(frames, calendar, trading_day_after(calendar, start), tuple(frames), few)

"""`bqx features`: list, show, check and explain columns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from bqx.cli.common import App, emit, json_option

if TYPE_CHECKING:
    from bqx.features.checks import World
    from bqx.features.declare import Dataset


@click.group()
def features() -> None:
    """The catalogue: list, show, check and explain columns."""


@features.command("list")
@click.option("--dataset", "only", multiple=True, help="Only these datasets.")
@json_option
def list_(only: tuple[str, ...], as_json: bool) -> None:
    """One line a dataset; with --json one object a column."""
    from bqx.features.catalogue import count, dataset, datasets, describe
    from bqx.features.declare import OURS

    homes = [dataset(name) for name in only] or list(datasets().values())
    rows = [describe(home, item) for home in homes for item in home.columns]
    sizes = count(homes)

    def text() -> None:
        width = max(len(h.name) for h in homes)
        click.echo(f"{'dataset':{width}}  columns  stage  counted  warm-up  summary (origin, where not bqx)")
        for h in homes:
            warmup = max(c.warmup for c in h.columns)
            counted = "yes" if h.counted else "no"
            summary = h.summary if h.origin == OURS else f"{h.summary} ({h.origin})"
            click.echo(f"{h.name:{width}}  {len(h.columns):7}  {h.stage:5}  {counted:7}  {warmup:7}  {summary}")
        others = f", {sizes['users']} of other packages" if sizes["users"] else ""
        click.echo(
            f"{sizes['columns']} columns in {sizes['datasets']} datasets: {sizes['counted']} counted, "
            f"{sizes['auxiliary']} auxiliary{others}"
        )

    emit(rows, as_json, text)


@features.command()
@click.argument("name", metavar="DATASET|COLUMN")
@json_option
def show(name: str, as_json: bool) -> None:
    """All that is declared of a column (`returns_raw_rate.ret_60`), or the columns of a dataset."""
    from bqx.features.catalogue import column, datasets, describe

    if name in datasets():
        home = datasets()[name]
        rows: list[dict[str, Any]] = [describe(home, item) for item in home.columns]
        width = max(len(r["column"]) for r in rows)
        lines = [f"{home.name}: {home.summary}"]
        lines += [f"  {r['column']:{width}}  {r['unit']:11}  warm-up {r['warmup']:5}  {r['formula']}" for r in rows]
        emit(rows, as_json, "\n".join(lines))
        return
    record = describe(*column(name))
    shown = {k: v for k, v in record.items() if v not in (None, "", [])}
    emit(record, as_json, "\n".join(f"{k:14} {_plain(v)}" for k, v in shown.items()))


def _plain(value: Any) -> str:
    return ", ".join("-" if v is None else str(v) for v in value) if isinstance(value, list) else str(value)


@features.command()
@click.argument("column")
@click.argument("pair")
@click.argument("ts")
@click.option("--as-of", default=None, help="Explain what was known then (ISO time).")
@json_option
@click.pass_obj
def explain(app: App, column: str, pair: str, ts: str, as_of: str | None, as_json: bool) -> None:
    """Where a value comes from, or why it is NULL: inputs, window, anchor, artefact.

    COLUMN is `dataset.column`; TS an ISO time such as 2024-07-01T12:00Z.
    """
    from bqx.build.explain import explain as explain_value
    from bqx.market.calendar import minute_of

    found = explain_value(app.open(as_of), column, pair, minute_of(_time(ts)))
    emit(found.as_dict(), as_json, found.text())


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as exc:
        raise click.BadParameter(f"{text!r} is not an ISO time such as 2024-07-01T12:00Z") from exc


@features.command()
@click.option("--dataset", "only", multiple=True, help="Only these datasets.")
@click.option("--check", "checks", multiple=True, help="Only these checks (default all).")
@click.option("--pair", "pairs", multiple=True, help="Pairs to check on (default three of the project's).")
@click.option("--days", type=click.IntRange(1), default=None, help="Days of bars [default: what warm-ups need].")
@click.option("--simulated", is_flag=True, help="Check on simulated bars; needs no project.")
@json_option
@click.pass_obj
def check(
    app: App,
    only: tuple[str, ...],
    checks: tuple[str, ...],
    pairs: tuple[str, ...],
    days: int | None,
    simulated: bool,
    as_json: bool,
) -> None:
    """Prove P1-P4, bounds, NULL pattern and references on the project's own bars; exit 5 when one fails."""
    from bqx.base.errors import CheckError, UsageError
    from bqx.features.catalogue import dataset, datasets
    from bqx.features.checks import CHECKS, run

    unknown = [c for c in checks if c not in CHECKS]
    if unknown:
        raise UsageError(f"unknown check {unknown[0]!r}", fix=f"one of {', '.join(CHECKS)}")
    homes = [dataset(name) for name in only] or list(datasets().values())
    names = list(checks) or list(CHECKS)
    if simulated:
        results = run(homes, _simulated_world(homes, pairs, days), names)
    else:
        from bqx.build.certify import certify, project_world

        project = app.open()
        results = certify(project, homes, project_world(project, homes, pairs, days), names)
    found = []
    for result in results:
        found.append(result)
        if not as_json and not result.passed:
            click.echo(f"FAILED {result.check}  {result.dataset}.{result.column}: {result.reason}")
    failed = [r for r in found if not r.passed]
    compared = sum(r.compared for r in found)
    summary = f"{len(found)} checks of columns, {compared:,} values compared, {len(failed)} failed"
    emit([r.as_dict() for r in found], as_json, summary)
    if failed:
        first = failed[0]
        raise CheckError(summary, where=f"{first.dataset}.{first.column}", fix=f"{first.check}: {first.reason}")


def _simulated_world(homes: Sequence[Dataset], pairs: Sequence[str], days: int | None) -> World:
    from datetime import UTC

    from bqx.features.checks import World
    from bqx.features.checks.reach import longest
    from bqx.market.calendar import DAY, Calendar, minute_of
    from bqx.market.simulated import simulate

    calendar = Calendar.load()
    end = minute_of(datetime(2024, 3, 17, 22, tzinfo=UTC))  # a month ends and New York's clock changes before it
    start = calendar.segment_start(end - (days or longest(homes, calendar, end)) * DAY)
    names = list(pairs) or ["eurusd", "usdjpy", "audnzd"]
    frames = simulate(calendar, start, end, seed=1, pairs=names, origin_minute=start)
    return World(frames, calendar, start + DAY, tuple(frames))

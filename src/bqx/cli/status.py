"""`bqx status`: what the project holds, and what is missing or stale."""

from __future__ import annotations

from typing import Any

import click

from bqx.cli.common import App, emit, json_option


@click.command()
@click.option("--as-of", default=None, help="As it was known at this time (ISO).")
@json_option
@click.pass_obj
def status(app: App, as_of: str | None, as_json: bool) -> None:
    """What the project holds, and what is missing or stale."""
    from bqx.build.status import project_status

    data = project_status(app.open(as_of))
    emit(data, as_json, lambda: _show(data))


def _show(data: dict[str, Any]) -> None:
    from bqx.build.disk import human_bytes

    label = "  SIMULATED DATA" if data["simulated"] else ""
    click.echo(f"{data['name']} in {data['path']}{label}")
    bars = data["bars"]
    if bars:
        first, last = min(b["first"] for b in bars.values()), max(b["last"] for b in bars.values())
        click.echo(f"bars      {data['bar_rows']:,} of {len(bars)} pairs, {first} .. {last}")
    else:
        click.echo("bars      none: `bqx bars import FILES` or `bqx bars simulate`")
    if missing := data["pairs_without_bars"]:
        shown = ", ".join(missing) if len(missing) <= 6 else f"{len(missing)} of the {len(data['pairs'])} pairs"
        click.echo(f"          without bars: {shown}")
    click.echo(f"calendar  {data['calendar']}   T0 {data['t0'] or 'not set yet'}")
    for note in data["notes"]:
        click.echo(f"note      {note}")
    counts = data["partitions"]
    click.echo(
        f"features  {counts['fresh']} partitions fresh, {counts['stale']} stale, {counts['missing']} missing, "
        f"{human_bytes(data['bytes'])}"
    )
    for dataset, months in data["coverage"].items():
        totals = {state: sum(c[state] for c in months.values()) for state in ("fresh", "stale", "missing")}
        ends = f"{min(months)}..{max(months)}"
        click.echo(
            f"  {dataset:24} {ends}  fresh {totals['fresh']}, stale {totals['stale']}, missing {totals['missing']}"
        )
    if data["not_wanted"]:
        click.echo(f"          {len(data['not_wanted'])} partitions belong to nothing wanted now (`bqx store drop`)")
    last = data["build"]["last_run"]
    if last:
        click.echo(
            f"last run  {last['run_id']} {last['status']}, {last['built']} units, {len(last['failures'])} failed"
        )
    if data["build"]["lease"]:
        click.echo(f"building  {data['build']['lease']}")

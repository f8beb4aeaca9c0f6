"""`bqx features`: list, show, explain and check columns, their certificates and versions."""

from __future__ import annotations

from datetime import datetime

import click

from bqx.cli.common import App, emit, json_option
from bqx.cli.features_certificates import certificates, show
from bqx.cli.features_check import check
from bqx.cli.features_coverage import coverage
from bqx.cli.features_diff import diff, snapshot
from bqx.cli.features_fits import fits
from bqx.cli.features_homes import homes as homes_of


@click.group()
def features() -> None:
    """The catalogue: list, show, check and explain columns."""


@features.command("list")
@click.option("--dataset", "only", multiple=True, help="Only these datasets.")
@click.option("--extensions", "every", is_flag=True, help="Extensions too that are not switched on here.")
@json_option
@click.pass_obj
def list_(app: App, only: tuple[str, ...], every: bool, as_json: bool) -> None:
    """One line a dataset; with --json one object a column. Extensions only where the project's bqx.toml names them."""
    from bqx.features.catalogue import count, describe, extensions
    from bqx.features.declare import OURS

    homes = homes_of(app, only)
    if every and not only:
        homes += [home for home in extensions().values() if home not in homes]
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


for _command in (show, check, certificates, snapshot, diff, fits, coverage):
    features.add_command(_command)

"""`bqx features fits`: the estimates that columns use, as they were made and kept."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from bqx.base.errors import UsageError
from bqx.cli.common import App, emit, json_option
from bqx.cli.features_homes import homes as homes_of

if TYPE_CHECKING:
    from bqx.features.fits import Fit


@click.group()
def fits() -> None:
    """Estimates kept in the project: what was estimated, when, from which bars."""


@fits.command("list")
@click.option("--dataset", "only", multiple=True, help="Only fits of these datasets.")
@click.option("--pair", default=None, help="Only fits of this pair.")
@json_option
@click.pass_obj
def list_(app: App, only: tuple[str, ...], pair: str | None, as_json: bool) -> None:
    """One line a fit and pair: how many are kept, how many of them are empty for want of bars or pairs,
    from when to when, and the seconds they took."""
    chosen = [fit for home in homes_of(app, only) for fit in home.fits]
    rows = _summaries(_kept(app, chosen, pair))

    def text() -> None:
        width = max((len(r["fit"]) for r in rows), default=3)
        if rows:
            click.echo(f"{'fit':{width}}  pair    kept  empty  first point        last point         seconds")
        for r in rows:
            click.echo(
                f"{r['fit']:{width}}  {r['pair']:6}  {r['kept']:4}  {r['empty']:5}  {r['first']}  {r['last']}  "
                f"{r['seconds']:7.2f}"
            )
        seconds = sum(r["seconds"] for r in rows)
        click.echo(f"{sum(r['kept'] for r in rows)} estimates of {len(chosen)} fits kept, {seconds:.1f} s to make")
        if not rows:
            click.echo("fits are made by `bqx build` with the datasets that use them")

    emit(rows, as_json, text)


@fits.command()
@click.argument("name", metavar="FIT")
@click.option("--dataset", "only", multiple=True, help="Only fits of these datasets.")
@click.option("--pair", default=None, help="Only fits of this pair.")
@json_option
@click.pass_obj
def show(app: App, name: str, only: tuple[str, ...], pair: str | None, as_json: bool) -> None:
    """Every kept estimate of one fit: its parameters, the span it saw, the seconds it took."""
    known = {fit.name: fit for home in homes_of(app, only) for fit in home.fits}
    if name not in known:
        raise UsageError(f"unknown fit {name!r}", fix=f"choose one of {', '.join(known) or 'none: no dataset fits'}")
    rows = _kept(app, [known[name]], pair)

    def text() -> None:
        click.echo(f"{name}, dataset {known[name].dataset}, made every {known[name].every}. {known[name].summary}")
        for r in rows:
            click.echo(f"{r['pair']}  in force from {r['from']}, saw bars from {r['sees_from']}, {r['seconds']:.3f} s")
            width = max(map(len, r["parameters"]))
            for key, value in r["parameters"].items():
                click.echo(f"  {key:{width}}  {'-' if value is None else f'{value:.6g}'}")
        if not rows:
            click.echo("none kept; `bqx build` makes them with the datasets that use them")

    emit(rows, as_json, text)


def _kept(app: App, chosen: list[Fit], pair: str | None) -> list[dict[str, Any]]:
    from bqx.build.fits import list_fits

    with closing(app.open()) as project:
        return list_fits(project.manifest, chosen, pair)


def _summaries(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One record a fit and pair of what is in order of fit, pair and time."""
    out: list[dict[str, Any]] = []
    for r in records:
        if not out or (out[-1]["fit"], out[-1]["pair"]) != (r["fit"], r["pair"]):
            out.append({"fit": r["fit"], "dataset": r["dataset"], "pair": r["pair"], "kept": 0, "empty": 0,
                        "first": r["from"], "last": r["from"], "seconds": 0.0})  # fmt: skip
        out[-1]["kept"] += 1
        out[-1]["empty"] += all(value is None for value in r["parameters"].values())
        out[-1]["last"] = r["from"]
        out[-1]["seconds"] += r["seconds"]
    return out

"""`bqx dataset`: make, list, show, check, open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bqx.base.errors import UsageError
from bqx.cli.common import App, dry_run_option, emit, json_option

if TYPE_CHECKING:
    from bqx.research.dataset import Dataset


@click.group()
def dataset() -> None:
    """Training datasets: 2,640 candidates, targets Y1-Y6, splits and a sealed test, pinned."""


@dataset.command()
@click.argument("name")
@click.option("--pairs", metavar="A,B", help="Only these pairs; all of the project's by default.")
@click.option("--from", "first", metavar="TIME", help="First minute, ISO; else the first that is built for all pairs.")
@click.option("--to", "last", metavar="TIME", help="Minute after the last, ISO.")
@click.option("--lags", "profile", type=click.Choice(["seed", "extended"]), default="seed", help="Lag profile.")
@click.option("--extensions", metavar="A,B", help="Extensions of the project whose columns are candidates, too; `all`.")
@click.option("--cost-bps", type=click.FloatRange(0), default=None, help="A round trip; else quoted spreads.")
@dry_run_option
@json_option
@click.pass_obj
def make(
    app: App,
    name: str,
    pairs: str | None,
    first: str | None,
    last: str | None,
    profile: str,
    extensions: str | None,
    cost_bps: float | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Pin what is built as a dataset. Interrupted, run it again and it goes on with the next pair."""
    from bqx.market.pairs import parse_pair
    from bqx.research.dataset import Dataset
    from bqx.research.dataset_make import make_dataset, summary

    project = app.open()
    data = make_dataset(
        project,
        name,
        pairs=[parse_pair(p).name for p in pairs.replace(",", " ").split()] if pairs else None,
        start=_minute(first),
        end=_minute(last),
        profile=profile,
        cost=cost_bps,
        extensions=extensions.replace(",", " ").split() if extensions else (),
        dry_run=dry_run,
        note=lambda text: click.echo(text, err=True),
    )
    if dry_run:
        head = {k: v for k, v in data.items() if k not in ("sources", "first_bar")}
        text = f"{name}: {len(data['pairs'])} pairs, {data['first']} to {data['last']}, {data['splits']['text']}"
        emit(head, as_json, text)
        return
    found = summary(Dataset.open(project, name))
    emit(found, as_json, lambda: _show(found))


@dataset.command("list")
@json_option
@click.pass_obj
def list_(app: App, as_json: bool) -> None:
    """One line a dataset."""
    from bqx.research.dataset import names

    project = app.open()
    keys = ("name", "hash", "first", "last", "lag_profile", "candidates", "made_at", "simulated")
    rows = []
    for name in names(project.root):
        data = _open(app, name).data
        rows.append({**{k: data[k] for k in keys}, "pairs": len(data["pairs"])})

    def text() -> None:
        for r in rows:
            mark = "  SIMULATED" if r["simulated"] else ""
            click.echo(f"{r['name']:16} {r['hash'][:8]}  {r['pairs']:2} pairs  {r['first']} to {r['last']}{mark}")
        if not rows:
            click.echo("no datasets; `bqx dataset make NAME` makes one")

    emit(rows, as_json, text)


@dataset.command()
@click.argument("name")
@json_option
@click.pass_obj
def show(app: App, name: str, as_json: bool) -> None:
    """What a dataset is made of: rows, NULLs, effective labels, masks, splits, seal."""
    from bqx.research.dataset_make import summary
    from bqx.research.seal import openings

    found = _open(app, name)
    data = summary(found)
    data["opened"] = openings(found.project.root, found.hash)
    emit(data, as_json, lambda: _show(data))


@dataset.command("open")
@click.argument("name")
@click.option("--release", required=True, help="What is released; one opening each.")
@click.option("--reason", required=True, help="Goes on the record.")
@json_option
@click.pass_obj
def open_(app: App, name: str, release: str, reason: str, as_json: bool) -> None:
    """Open the sealed test for a release, once. The opening is logged in research.sqlite."""
    from bqx.research.seal import open_seal

    found = _open(app, name)
    if found.splits.sealed is None:
        raise UsageError(f"dataset {name} has no sealed test", fix=found.splits.text)
    data = open_seal(found.project.root, found.hash, found.data["seal"], release, reason)
    emit(data, as_json, f"opened for release {release}; this dataset's test has now been seen {data['times']} times")


@dataset.command()
@click.argument("name")
@click.option("--pair", default=None, help="Test on this pair; else the first.")
@click.option("--samples", type=click.IntRange(1000), default=1000, help="Rows to recompute, stratified.")
@click.option("--seed", type=int, default=0)
@json_option
@click.pass_obj
def check(app: App, name: str, pair: str | None, samples: int, seed: int, as_json: bool) -> None:
    """The leakage tests L1-L14 on a dataset; exits 5 when one fails."""
    from bqx.base.errors import LeakError
    from bqx.research.leakage.record import record
    from bqx.research.leakage.suite import run_suite

    found = _open(app, name)
    pair = pair or found.pairs[0]
    results = run_suite(found, pair, samples=samples, seed=seed)
    record(found.folder, found.hash, pair, results)

    def text() -> None:
        for r in results:
            click.echo(f"{r.test:4} {'ok' if r.ok else 'FAILED':6} {r.compared:12,} compared  {r.title}: {r.detail}")

    emit([r.as_dict() for r in results], as_json, text)
    if bad := [r for r in results if not r.ok]:
        raise LeakError(f"{', '.join(r.test for r in bad)} failed: {bad[0].detail}", where=f"dataset {name}")


def _open(app: App, name: str) -> Dataset:
    from bqx.research.dataset import Dataset

    return Dataset.open(app.open(), name)


def _minute(text: str | None) -> int | None:
    from datetime import datetime

    from bqx.market.calendar import minute_of

    if text is None:
        return None
    try:
        return minute_of(datetime.fromisoformat(text))
    except ValueError as exc:
        raise UsageError(f"{text!r} is not an ISO time with an offset", fix="for example 2024-07-01T00:00Z") from exc


def _show(data: dict[str, Any]) -> None:
    mark = " from SIMULATED bars" if data["simulated"] else ""
    click.echo(f"dataset {data['name']}{mark}, hash {data['hash']}, known at {data['as_of']}")
    click.echo(f"{data['candidates']:,} candidates, lags {data['lag_profile']}, catalogue {data['catalogue_version']}")
    click.echo(f"{data['first']} to {data['last']}; cost: {data['cost']}")
    click.echo(data["splits"])
    cv = data["combinatorial"]
    click.echo(f"combinatorial: {cv['groups']} groups by {cv['k']}, {cv['splits']} splits, {cv['paths']} paths")
    for f in data["folds"]:
        click.echo(f"  fold {f['fold']}: train to {f['train_end']}, test {f['start']} to {f['end']}")
    if data["sealed_from"]:
        opened = len(data.get("opened", []))
        click.echo(f"  sealed from {data['sealed_from']}" + (f", opened {opened} times" if opened else ""))
    for p in data["pairs"]:
        share = p["nulls"] / p["values"]
        other = (p["nulls"] - p["nulls_declared"]) / p["values"]
        click.echo(
            f"{p['pair']}: {p['rows']:,} rows, {share:.2%} NULL ({other:.2%} beyond warm-up and segment starts); "
            f"labels of 60 bars: {p['labels']['y3_60_60']:,}, worth {p['effective']['y3_60_60']:,}; "
            f"{p['masked_by_closures']['60']:,} masked by closures"
        )

"""`bqx select`: run, list, show, compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bqx.cli.common import App, dry_run_option, emit, json_option


@click.group()
def select() -> None:
    """From 2,640 candidates to 250, inside every training fold."""


@select.command()
@click.argument("name")
@click.option("--dataset", "dataset_name", required=True, help="Of `bqx dataset make`.")
@click.option("--pairs", metavar="A,B", help="Only these pairs.")
@click.option("--folds", metavar="0,1", help="Only these folds.")
@click.option("--every", type=click.IntRange(1), default=15, show_default=True, help="Bars between rows.")
@click.option("--cap", type=click.IntRange(1), default=3, show_default=True, help="Columns of one cluster.")
@click.option("--per-half", type=click.IntRange(1), default=100, show_default=True, help="Picks a half, for stability.")
@click.option("--seed", type=click.IntRange(0), default=0)
@click.option("--workers", type=click.IntRange(1), default=1, help="Threads, or folds side by side.")
@click.option("--engine", default="threads", metavar="ENGINE", help="threads, processes or dask://host:port.")
@click.option("--compare/--no-compare", "compared", default=True, help="Fit the comparators on each test block.")
@dry_run_option
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder of the report.")
@json_option
@click.pass_obj
def run(
    app: App,
    name: str,
    dataset_name: str,
    pairs: str | None,
    folds: str | None,
    every: int,
    cap: int,
    per_half: int,
    seed: int,
    workers: int,
    engine: str,
    compared: bool,
    dry_run: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Select in every fold and write the report. Interrupted, run it again and it goes on with the next fold."""
    from bqx.base.errors import UsageError
    from bqx.market.pairs import parse_pair
    from bqx.research.dataset import Dataset
    from bqx.research.selection.options import Options
    from bqx.research.selection.report import selection_report
    from bqx.research.selection.run import forecast, run_selection, todo

    project = app.open()
    numbers = None
    if folds:
        if not all(f.isdigit() for f in folds.replace(",", " ").split()):
            raise UsageError(f"--folds {folds!r} is not a list of numbers", fix="for example --folds 0,1")
        numbers = [int(f) for f in folds.replace(",", " ").split()]
    data = Dataset.open(project, dataset_name)
    chosen = [parse_pair(p).name for p in pairs.replace(",", " ").split()] if pairs else None
    if dry_run:
        ahead = todo(data, name, chosen, numbers)
        rows = [{"pair": p, "fold": f} for p, f in ahead]
        emit(rows, as_json, f"{len(rows)} masks to make: " + ", ".join(f"{p} {f}" for p, f in ahead))
        return
    manifest = run_selection(
        data,
        name,
        pairs=chosen,
        folds=numbers,
        options=Options(every=every, cap=cap, per_half=per_half, seed=seed),
        workers=workers,
        engine=engine,
        compare=compared,
        note=lambda text: click.echo(text, err=True),
    )
    paths = selection_report(project, manifest).write(out or project.root / "reports", f"selection-{name}")
    seconds = [sum(r["seconds"].get(k, 0.0) for k in ("selection", "comparators")) for r in manifest["folds"]]

    def text() -> None:
        _lines(manifest)
        click.echo(forecast(seconds))
        click.echo(f"report: {paths[0]}")

    emit({**manifest, "report": [str(p) for p in paths], "forecast": forecast(seconds)}, as_json, text)


@select.command("list")
@json_option
@click.pass_obj
def list_(app: App, as_json: bool) -> None:
    """One line a finished selection."""
    from bqx.research.selection.run import open_selection, selections

    project = app.open()
    found = [open_selection(project, name) for name in selections(project.root)]
    rows = [
        {**{k: m[k] for k in ("name", "dataset", "made_at", "options_hash", "simulated")}, "masks": len(m["folds"])}
        for m in found
    ]

    def text() -> None:
        for r in rows:
            mark = "  SIMULATED" if r["simulated"] else ""
            click.echo(f"{r['name']:16} dataset {r['dataset']:16} {r['masks']:4} masks  {r['made_at']}{mark}")
        if not rows:
            click.echo("no selections; `bqx select run NAME --dataset D` makes one")

    emit(rows, as_json, text)


@select.command()
@click.argument("name")
@click.option("--pair", default=None, help="With --fold: every column of that mask and why it is in or out.")
@click.option("--fold", type=click.IntRange(0), default=None)
@click.option("--all", "everything", is_flag=True, help="Also the columns that are not in.")
@json_option
@click.pass_obj
def show(app: App, name: str, pair: str | None, fold: int | None, everything: bool, as_json: bool) -> None:
    """Masks of a selection, skill of the comparators, or one mask column by column."""
    from bqx.base.errors import UsageError
    from bqx.market.pairs import parse_pair
    from bqx.research.selection.judge import judge
    from bqx.research.selection.run import load_mask, open_selection

    project = app.open()
    manifest = open_selection(project, name)
    if (pair is None) != (fold is None):
        raise UsageError("give --pair and --fold together")
    if pair is not None and fold is not None:
        table = load_mask(project, name, parse_pair(pair).name, fold)
        table = table if everything else table.filter(table["selected"]).sort("place")

        def lines() -> None:
            for r in table.iter_rows(named=True):
                place = f"{r['place']:4}" if r["place"] else "   -"
                points = "" if r["borda"] is None else f"  Borda {r['borda']:.3f}, stability {r['stability']:.2f}"
                mark = " certified" if r["certified"] else ""
                click.echo(f"{place}  {r['candidate']:52} {r['signal_domain']:7} {r['why']}{points}{mark}")

        emit(table.to_dicts(), as_json, lines)
        return
    judged = judge(project, manifest)

    def text() -> None:
        _lines(manifest)
        for j in judged:
            index = "n/a" if j.stability is None else f"{j.stability:.3f}"
            click.echo(f"{j.pair}: stability of {j.folds} masks {index}")
            for comparator, found in j.scores.items():
                s = found[-1]
                span = f"({100 * s.low:.2f} to {100 * s.high:.2f})"
                click.echo(f"  {comparator:18} skill {100 * s.skill:6.2f} % {span}, {s.verdict}")
            if j.retention is not None:
                click.echo(f"  selected against all columns: p that it is no worse {j.retention.worse:.3f}")

    emit({**manifest, "judged": [j.as_dict() for j in judged]}, as_json, text)


@select.command()
@click.argument("one")
@click.argument("other")
@json_option
@click.pass_obj
def compare(app: App, one: str, other: str, as_json: bool) -> None:
    """What two selections have in common, for each pair and fold that both have."""
    from bqx.base.errors import UsageError
    from bqx.research.selection.agreement import shared
    from bqx.research.selection.run import load_mask, open_selection

    project = app.open()
    a, b = (open_selection(project, name) for name in (one, other))
    both = sorted({(r["pair"], r["fold"]) for r in a["folds"]} & {(r["pair"], r["fold"]) for r in b["folds"]})
    if not both:
        raise UsageError(f"{one} and {other} have no pair and fold in common")
    rows: list[dict[str, Any]] = []
    for pair, fold in both:
        x, y = (load_mask(project, name, pair, fold) for name in (one, other))
        if x["candidate"].to_list() != y["candidate"].to_list():
            raise UsageError(f"{one} and {other} chose from different candidates", fix="use the same lag profile")
        rows.append({"pair": pair, "fold": fold, **shared(x["selected"].to_numpy(), y["selected"].to_numpy())})

    def text() -> None:
        for r in rows:
            click.echo(f"{r['pair']} fold {r['fold']}: {r['both']} columns in both, Jaccard {r['jaccard']:.3f}")

    emit(rows, as_json, text)


def _lines(manifest: dict[str, Any]) -> None:
    mark = " from SIMULATED bars" if manifest["simulated"] else ""
    click.echo(f"selection {manifest['name']} of dataset {manifest['dataset']}{mark}; {manifest['splits']}")
    for r in manifest["folds"]:
        domains = ", ".join(f"{n} {d}" for d, n in r["domains"].items())
        click.echo(
            f"  {r['pair']} fold {r['fold']}: {r['selected']} of {r['kept']:,} ({domains}), {r['certified']} certified "
            f"(at most {r['false_picks_bound']:.1f} of them by chance), {r['clusters']} clusters, {r['rows']:,} rows, "
            f"{r['seconds']['selection']:.0f} s"
        )

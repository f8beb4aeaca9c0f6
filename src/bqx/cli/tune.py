"""`bqx tune`: parameters of an estimator, chosen inside one training window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bqx.cli.common import App, dry_run_option, emit, json_option


@click.command()
@click.argument("name")
@click.option("--dataset", "dataset_name", required=True, help="Of `bqx dataset make`.")
@click.option("--selection", help="Of `bqx select run`: its mask of each pair and the fold.")
@click.option("--columns", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="Names, one a line.")
@click.option("--estimator", default="boosting", show_default=True, help="`ridge`, `xgboost`, or a plug-in's name.")
@click.option("--pairs", metavar="A,B", help="Only these pairs; one set serves them all.")
@click.option("--horizons", metavar="15,60", help="Only these horizons.")
@click.option("--fold", type=click.IntRange(0), default=0, show_default=True, help="Whose training window is searched.")
@click.option("--inner", type=click.IntRange(2), default=4, show_default=True, help="Inner folds; the last confirms.")
@click.option("--trials", type=click.IntRange(2), default=40, show_default=True, help="Sets, the default among them.")
@click.option("--take-best", is_flag=True, help="Take the best set even when it is not shown to be better.")
@click.option("--seed", type=click.IntRange(0), default=0)
@click.option("--workers", type=click.IntRange(1), default=1, help="Threads; the result does not depend on it.")
@dry_run_option
@json_option
@click.pass_obj
def tune(
    app: App,
    name: str,
    dataset_name: str,
    selection: str | None,
    columns: Path | None,
    estimator: str,
    pairs: str | None,
    horizons: str | None,
    fold: int,
    inner: int,
    trials: int,
    take_best: bool,
    seed: int,
    workers: int,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Tune study NAME; the result file is for `bqx train --params`. Interrupted, run it again and it goes on.

    The test block of the fold and the sealed test are not read. A set tuned on fold K is clean for folds from K on.
    """
    from bqx.market.pairs import parse_pair
    from bqx.research.dataset import Dataset
    from bqx.research.training.order import make_order
    from bqx.research.training.settings import Settings
    from bqx.research.tuning.run import FOLDER, RESULT, todo
    from bqx.research.tuning.run import tune as run_it

    project = app.open()
    settings = Settings(
        estimator=estimator,
        heads=("point",),
        pairs=tuple(parse_pair(p).name for p in pairs.replace(",", " ").split()) if pairs else None,
        horizons=_numbers(horizons) if horizons else None,
        folds=(fold,),
        seed=seed,
    )
    names = None if columns is None else [s.strip() for s in columns.read_text("utf-8").splitlines() if s.strip()]
    order = make_order(Dataset.open(project, dataset_name), settings, selection=selection, columns=names)
    if dry_run:
        ahead = todo(order, name, trials, inner)
        emit(ahead, as_json, f"{ahead['done']} of {trials} trials are done; at most {ahead['fits']} fits to make")
        return
    result = run_it(
        order,
        name,
        trials=trials,
        inner=inner,
        workers=workers,
        take_best=take_best,
        note=lambda text: click.echo(text, err=True),
    )
    path = project.root / FOLDER / name / RESULT
    emit({**result, "file": str(path)}, as_json, lambda: _lines(result, path))


def _lines(result: dict[str, Any], path: Path) -> None:
    mark = ", SIMULATED bars" if result["simulated"] else ""
    click.echo(f"{result['trials']} trials, {result['pruned']} pruned, {result['estimator']}{mark}")
    for which in ("default", "best"):
        found = result[which]
        click.echo(f"{which:8} loss {found['loss']:.5f}, confirmed {found['confirmed']:.5f}  {found['params']}")
    click.echo("loss: squared error over the random walk's; 1 is no skill, and noise differs from 1 a little too")
    click.echo(result["verdict"])
    click.echo(f"parameters: {path}")


def _numbers(text: str) -> tuple[int, ...]:
    from bqx.base.errors import UsageError

    words = text.replace(",", " ").split()
    if not words or not all(w.isdigit() for w in words):
        raise UsageError(f"--horizons {text!r} is not a list of numbers", fix="for example --horizons 15,60")
    return tuple(int(w) for w in words)

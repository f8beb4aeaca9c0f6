"""`bqx train`: walk-forward forecasts of pairs and horizons, and the models fitted last."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bqx.base.errors import QuarantinedError, TrainingError, UsageError
from bqx.cli.common import App, dry_run_option, emit, json_option

if TYPE_CHECKING:
    from bqx.research.artefact import Signer
    from bqx.research.dataset import Dataset
    from bqx.research.training.order import Order


@click.command()
@click.argument("name")
@click.option("--dataset", "dataset_name", required=True, help="Of `bqx dataset make`.")
@click.option("--selection", help="Of `bqx select run`: 250 columns a pair and fold.")
@click.option("--columns", type=click.Path(path_type=Path, dir_okay=False), help="File of column names, one a line.")
@click.option("--estimator", default="boosting", show_default=True, help="`ridge`, `xgboost`, or a plug-in's name.")
@click.option("--params", type=click.Path(path_type=Path, dir_okay=False), help="JSON or TOML, or of `bqx tune`.")
@click.option("--heads", metavar="A,B", help="Of point, quantile, direction; all by default.")
@click.option("--pairs", metavar="A,B", help="Only these pairs.")
@click.option("--horizons", metavar="15,60", help="Only these horizons.")
@click.option("--folds", metavar="0,1", help="Only these folds.")
@click.option("--every", type=click.IntRange(1), default=15, show_default=True, help="Bars between test rows.")
@click.option("--density", type=click.IntRange(1), help="Training rows a label's length; 3, or more if rows are few.")
@click.option("--global", "together", is_flag=True, help="One model for all pairs.")
@click.option("--seed", type=click.IntRange(0), default=0)
@click.option("--workers", type=click.IntRange(1), default=1, help="Threads; the result does not depend on it.")
@click.option("--engine", default="threads", metavar="ENGINE", help="threads, processes or dask://host:port.")
@click.option("--retry", type=click.IntRange(0), default=1, show_default=True, help="Tries more for a cell that fails.")
@click.option("--quorum", type=click.FloatRange(0, 1, min_open=True), default=1.0, help="Share of cells to be usable.")
@click.option("--artefacts/--no-artefacts", default=True, help="Fit and sign final models; needs a signing key.")
@click.option("--mlflow", "mlflow_uri", metavar="URI", help="Also log the run to an MLflow tracking server.")
@dry_run_option
@json_option
@click.pass_obj
def train(
    app: App,
    name: str,
    dataset_name: str,
    selection: str | None,
    columns: Path | None,
    estimator: str,
    params: Path | None,
    heads: str | None,
    pairs: str | None,
    horizons: str | None,
    folds: str | None,
    every: int,
    density: int | None,
    together: bool,
    seed: int,
    workers: int,
    engine: str,
    retry: int,
    quorum: float,
    artefacts: bool,
    mlflow_uri: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train run NAME: a cell is a pair, a horizon and a fold. Interrupted or killed, run it again and it goes on.

    Exit code 9 when fewer cells than the quorum are done, 5 when the run is too good to be true (L14).
    """
    from bqx.market.pairs import parse_pair
    from bqx.research.artefact import HEADS
    from bqx.research.dataset import Dataset
    from bqx.research.training.cost import forecast
    from bqx.research.training.order import make_order
    from bqx.research.training.run import missing
    from bqx.research.training.run import train as run_it
    from bqx.research.training.settings import Settings

    project = app.open()
    dataset = Dataset.open(project, dataset_name)
    numbers = _numbers("--folds", folds)
    settings = Settings(
        estimator=estimator,
        params=_params(params, estimator, dataset, numbers),
        heads=tuple(_words(heads)) if heads else HEADS,
        pairs=tuple(parse_pair(p).name for p in _words(pairs)) if pairs else None,
        horizons=_numbers("--horizons", horizons),
        folds=numbers,
        every=every,
        density=density,
        scope="global" if together else "pair",
        seed=seed,
    )
    names = None if columns is None else [line.strip() for line in _text(columns).splitlines() if line.strip()]
    order = make_order(dataset, settings, selection=selection, columns=names)
    if dry_run:
        ahead = missing(order, name)
        cost = forecast(order, ahead, workers)
        emit({"name": name, **cost.as_dict()}, as_json, _plan(name, order, cost))
        return
    signer = _signer(app) if artefacts else None
    run = run_it(
        order,
        name,
        signer=signer,
        workers=workers,
        engine=engine,
        retries=retry,
        quorum=quorum,
        note=lambda text: click.echo(text, err=True),
    )
    if mlflow_uri:
        from bqx.research.training.mlflow_sink import log_run

        log_run(run, mlflow_uri)
    if run.state == "quarantined":
        if run.signed is None:
            raise QuarantinedError(
                f"run {name} is quarantined: {run.head['result']['too_good'][0]}", where=str(run.folder)
            )
    elif run.state == "short":
        found = run.head["result"]
        why = "; ".join(f"{f['cell']}: {f['reason']}" for f in found["failures"][:3])
        raise TrainingError(f"{found['done']} of {found['cells']} cells are done: {why}", where=str(run.folder))
    from bqx.cli.runs import run_lines

    emit(run.head, as_json, run_lines(run))


def _params(path: Path | None, estimator: str, dataset: Dataset, folds: tuple[int, ...] | None) -> dict[str, Any]:
    """Of a file; a result of `bqx tune` must be of this estimator and dataset, and clean for all folds."""
    from bqx.research.tuning.result import params_of

    numbers = [f.number for f in dataset.splits.folds()] if folds is None else folds
    return params_of(read_params(path), str(path), estimator=estimator, dataset_hash=dataset.hash, folds=numbers)


def read_params(path: Path | None) -> dict[str, Any]:
    """Parameters of an estimator from a JSON or TOML file; UsageError names the file."""
    if path is None:
        return {}
    read: Callable[[str], Any] = tomllib.loads if path.suffix == ".toml" else json.loads
    try:
        data = read(_text(path))
    except ValueError as error:
        raise UsageError(f"parameters cannot be read: {error}", where=str(path)) from error
    if not isinstance(data, dict):
        raise UsageError("parameters are an object of name and value", where=str(path))
    return data


def _signer(app: App) -> Signer:
    """Before anything is trained: hours of work may not end at a missing key."""
    from bqx.base.config import load_config
    from bqx.base.errors import SecretError
    from bqx.base.secrets import provider_from
    from bqx.research.artefact import Signer

    try:
        return Signer.of(provider_from(load_config(app.project_path)))
    except SecretError as error:
        raise SecretError(
            f"models are signed, and there is no key to sign with: {error.what}",
            where=error.where,
            fix="make one with `bqx models keys`, or train with --no-artefacts for forecasts alone",
        ) from error


def _plan(name: str, order: Order, cost: Any) -> str:
    from bqx.build.progress import human_time

    mark = ", SIMULATED bars" if order.dataset.simulated else ""
    return (
        f"{name}: {cost.cells} cells of {cost.pairs} pairs to train{mark}; at most {cost.rows:,} rows x "
        f"{cost.columns:,} columns each ({order.masks.source})\nabout {human_time(cost.seconds)} on {cost.workers} "
        f"threads ({human_time(cost.core_seconds)} of fitting, {human_time(cost.read_seconds)} of reading), "
        f"{cost.memory_bytes / 1e9:.1f} GB of memory\nthe forecast rests on {cost.law}"
    )


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot be read: {error}", where=str(path)) from error


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _numbers(option: str, text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    if not _words(text) or not all(w.isdigit() for w in _words(text)):
        raise UsageError(f"{option} {text!r} is not a list of numbers", fix=f"for example {option} 15,60")
    return tuple(int(w) for w in _words(text))

"""Training runs: cells in parallel, kept one by one, judged together; goes on where it was stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.base.errors import RunError, UsageError
from bqx.base.runlog import event
from bqx.build.executor import Executor
from bqx.research.artefact import Signer
from bqx.research.dataset import check_name
from bqx.research.training.cells import Cell, Kept
from bqx.research.training.final import make_artefacts
from bqx.research.training.folder import FOLDER, HEAD, Run, State, write_head
from bqx.research.training.forecasts import write_forecasts
from bqx.research.training.judge import TARGETS, interval, next_bar, plain, pooled
from bqx.research.training.lock import only_one
from bqx.research.training.order import Order
from bqx.research.training.pool import Note, work

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
FIGURES = ("scores", "pooled")
"""Of a result; kept back while a run is quarantined."""


def train(
    order: Order,
    name: str,
    *,
    signer: Signer | None = None,
    workers: int = 1,
    retries: int = 1,
    quorum: float = 1.0,
    note: Note = lambda _: None,
    engine: str | Executor = "threads",
) -> Run:
    """Train what is missing of the run, judge all of it, write the artefacts and then the state.

    engine : where cells are fitted, threads, processes or dask://host:port; `workers` of them side by side, or as many
    as a cluster has. Final models are fitted here. signer : without one no artefacts are made.

    Gives back the run: `done` when at least the share `quorum` of the cells is done, else `short`, with the reasons in
    `head["result"]["failures"]`; `quarantined` by L14, and then without artefacts until somebody has signed. Killed
    anywhere, the same call ends with the same files, but for `times.json`. Raises RunError when the name belongs to
    another run, LeaseError while another process trains it.
    """
    if not 0.0 < quorum <= 1.0:
        raise UsageError(f"a quorum of {quorum} is no share of the cells", fix="above 0, at most 1")
    folder = order.dataset.project.root / FOLDER / check_name(name)
    with only_one(folder):
        run = begin(folder, order.head(name))
        kept = Kept(folder / "cells")
        failures = work(order, kept, workers=workers, retries=retries, note=note, engine=engine)
        state, result = assemble(run, order, kept, quorum)
        signed = run.signed is not None
        if state == "quarantined" and not signed:
            result = {k: v for k, v in result.items() if k not in FIGURES}
        if signer is not None and (state == "done" or (state == "quarantined" and signed)):
            failures += make_artefacts(run, order, signer, workers=workers, note=note)
        run = run.with_state(state, {**result, "failures": [f.as_dict() for f in failures]})
        event("train.end", run=name, state=run.state, failures=len(failures))
    return run


def begin(folder: Path, head: dict[str, Any]) -> Run:
    """The run in `folder`, begun if it is not there; RunError names the first setting in which it differs."""
    if (folder / HEAD).is_file():
        run = Run.read(folder)
        if run.hash != head["hash"]:
            odd = next(k for k in head if k not in ("hash", "name", "state", "result") and run.head.get(k) != head[k])
            raise RunError(
                f"run {head['name']} was begun with another {odd}: {run.head.get(odd)!r}, now {head[odd]!r}",
                where=str(folder),
                fix="choose another name",
            )
        return run
    write_head(folder, head)
    return Run.read(folder)


def missing(order: Order, name: str) -> list[Cell]:
    """Cells of the run that are not done."""
    kept = Kept(order.dataset.project.root / FOLDER / check_name(name) / "cells")
    return [c for group in order.groups.values() for c in group if kept.receipt(c) is None]


def assemble(run: Run, order: Order, kept: Kept, quorum: float) -> tuple[State, dict[str, Any]]:
    """Write the forecast tables of all finished cells; the state they deserve, and the judgement."""
    every, seed = order.settings.every, order.recipe.seed
    receipts = {c: r for cells in order.groups.values() for c in cells if (r := kept.receipt(c)) is not None}
    too_good = [
        f"{cell.group} fold {cell.fold} h = {cell.horizon}: {found['too_good']}"
        for cell, receipt in receipts.items()
        for found in receipt["metrics"].values()
        if found and found["too_good"]
    ]
    tables, scores = {}, []
    closes = {p: closing_prices(order, p) for p in order.pairs}
    for pair, h in [(p, h) for p in order.pairs for h in order.horizons]:
        if parts := [kept.table(c, pair) for c in receipts if pair in c.pairs and c.horizon == h]:
            table = tables[pair, h] = pl.concat(parts).sort("position")
            write_forecasts(run.forecast_path(pair, h), table, horizon=h)
            if text := next_bar(table, *closes[pair]):
                too_good.append(f"{pair} h = {h}: {text}")
            for target in TARGETS:
                if (whole := plain([table], target, h, every)) is not None:
                    span = interval(table, target, h, every, seed)
                    scores.append({"pair": pair, "horizon": h, **whole.as_dict(), **span})
                    too_good += [f"{pair} h = {h}: {whole.too_good}"] if whole.too_good else []
    together = {t: pooled(tables, t, every, seed) for t in TARGETS}
    too_good += [
        f"all together: {t} skill {p.skill:.3f}, hits {p.hit_rate:.1%}"
        for t, p in together.items()
        if p is not None and p.quarantined
    ]
    count = sum(len(cells) for cells in order.groups.values())
    result = {
        "cells": count,
        "done": len(receipts),
        "quorum": quorum,
        "too_good": too_good,
        "scores": scores,
        "pooled": {t: None if p is None else p.as_dict() for t, p in together.items()},
    }
    if too_good:
        return "quarantined", result
    return ("done" if receipts and len(receipts) >= quorum * count else "short"), result


def closing_prices(order: Order, pair: str) -> tuple[I8, F8]:
    """Minute and log close, in bps, of the pair's bars before the seal, as the dataset knew them."""
    d = order.dataset
    bars = d.project.bars.read([pair], d.start, d.sealed_from, d.as_of)[pair]
    minute = bars["ts_utc"].dt.epoch("s").to_numpy() // 60
    return minute, 1e4 * np.log(bars["close"].to_numpy())

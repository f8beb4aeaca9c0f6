"""The models that are kept: fitted on all rows before the seal with the last fold's columns, written signed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bqx.base.errors import BqxError, UsageError
from bqx.research.artefact import Artefact, Signer
from bqx.research.artefact.fit import assemble
from bqx.research.artefact.folder import MANIFEST
from bqx.research.artefact.horizon import fit_together
from bqx.research.training.folder import Run
from bqx.research.training.one_thread import one_thread
from bqx.research.training.order import Order
from bqx.research.training.pool import Failure, Note
from bqx.research.training.quarantine import check_quarantine
from bqx.research.training.rows import PairRows


def make_artefacts(run: Run, order: Order, signer: Signer, *, workers: int, note: Note) -> list[Failure]:
    """An artefact a pair under `artefacts/`, those that are there already left alone; failures are reported.

    Rows end where folds do: purge and embargo before the sealed test hold for the final model too.
    """
    failures = []
    last = order.folds[-1]
    with one_thread(), ThreadPoolExecutor(workers) as pool:
        for group, cells in order.groups.items():
            pairs = cells[0].pairs
            if all(done(run, p) for p in pairs):
                continue
            try:
                digests = _fit(run, order, signer, pairs, last, pool)
            except BqxError as error:
                failures.append(Failure(f"artefact {group}", 1, str(error)))
                continue
            note("; ".join(f"{p}: artefact {digest[:8]}" for p, digest in digests.items()))
    return failures


def done(run: Run, pair: str) -> bool:
    """Whether the pair's artefact is there and of this run; only loading it checks every byte."""
    path = run.artefact(pair) / MANIFEST
    return path.is_file() and json.loads(path.read_text("utf-8")).get("run_hash") == run.hash


def inputs(run: Run, root: Path) -> list[str]:
    """Columns that the run's models take, in order of first use; every artefact is loaded, so what is not signed by a
    key the project trusts is refused.

    Raises QuarantinedError or TrainingError when the run is not usable, UsageError when it has no artefacts.
    """
    check_quarantine(run)
    pairs = [p for p in run.pairs if run.artefact(p).is_dir()]
    if not pairs:
        raise UsageError(f"run {run.name} has no artefacts", fix="`bqx train` makes them when there is a signing key")
    return list(dict.fromkeys(name for p in pairs for name in Artefact.load(run.artefact(p), root).columns))


def _fit(
    run: Run, order: Order, signer: Signer, pairs: tuple[str, ...], fold: int, pool: ThreadPoolExecutor
) -> dict[str, str]:
    numbers = order.masks.numbers(pairs, fold)
    span = (0, order.dataset.splits.end)
    rows = {
        p: PairRows.read(order.dataset, p, tuple(sorted(numbers)), order.spacing, order.settings.every) for p in pairs
    }
    parts = {h: {p: rows[p].training(h, span, numbers) for p in pairs} for h in order.horizons}
    together = tuple(pairs) if order.together else ()
    futures = {h: pool.submit(fit_together, parts[h], together, h, order.recipe) for h in order.horizons}
    fitted = {h: future.result() for h, future in futures.items()}
    shortest = min(order.horizons)
    out = {}
    for p in pairs:
        models = {h: fitted[h][p] for h in order.horizons}
        made = assemble(parts[shortest][p], order.recipe, facts(run, order, fold), models, together)
        out[p] = made.save(run.artefact(p), signer)
    return out


def facts(run: Run, order: Order, fold: int) -> Mapping[str, Any]:
    """What an artefact says of its making beside what it is."""
    head = run.head
    kept = ("dataset", "dataset_hash", "lag_profile", "catalogue_version", "simulated", "spacing", "splits")
    return {
        **{k: head[k] for k in kept},
        "run": run.name,
        "run_hash": run.hash,
        "run_code": head["code_version"],
        "mask": {**head["mask"], "fold": fold},
    }

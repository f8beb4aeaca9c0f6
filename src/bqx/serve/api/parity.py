"""Does the server say what the files say? Random minutes answered as requests are, against whole months."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from bqx.base.errors import CheckError, NoPrediction
from bqx.serve.api.batch import chunks, frame_of, numbers, plan

if TYPE_CHECKING:
    from bqx.build.project import Project
    from bqx.serve.api.predictor import Predictor

LEAST = 500


def parity(project: Project, predictor: Predictor, pair: str, *, minutes: int = 200, seed: int = 0) -> dict[str, Any]:
    """Answer `minutes` random open minutes of the newest built month; `differ` counts numbers that are other bits.

    refused : minutes the server does not answer (no bar, a closure). CheckError when fewer than 500 numbers were
    compared, NoPrediction without a model or built columns.
    """
    model = predictor.model(pair)
    with tempfile.TemporaryDirectory(prefix="bqx-parity-") as folder:
        part = plan(project, model, Path(folder), (None, None), cost=None, kind="parquet")[-1]
    table = pl.concat(frame_of(project, model, c) for c in chunks(project, model, part.start, part.end, None))
    known = np.flatnonzero(table["sigma"].is_not_null().to_numpy() & (table["left"].to_numpy() > 0))
    chosen = np.sort(np.random.default_rng(seed).choice(known, min(minutes, len(known)), replace=False))
    compared = differ = refused = 0
    for at in chosen.tolist():
        row = table.row(at, named=True)
        try:
            made = predictor.make(predictor.question(row["ts_utc"].timestamp() + 61.0), pair)
        except NoPrediction:
            refused += 1
            continue
        for name, value in numbers(made.said).items():
            have, want = float(value[0]), row[name]
            wrong = not np.isnan(have) if want is None else have != want
            differ, compared = differ + int(wrong), compared + 1
    if compared < LEAST:
        raise CheckError(f"{compared} numbers compared, {LEAST} are the least", fix="build a longer history")
    return {
        "ok": differ == 0, "pair": pair, "compared": compared, "differ": differ, "refused": refused, "month": part.ym,
        "digest": model.digest,
    }  # fmt: skip

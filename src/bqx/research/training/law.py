"""Core-seconds of a cell from its size: a law fitted on cells that were timed, or on a few small ones fitted now."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.research.artefact import Recipe, TrainingRows, fit_horizon
from bqx.research.training.cells import RECEIPT, TIMES
from bqx.research.training.folder import Run

F8 = NDArray[np.float64]
FITS = {"point": 2.0, "direction": 1.0, "quantile": 5 * 0.75}
"""Models a head fits, in units of one on all training rows."""
LEAST_CELLS, LEAST_SIZES = 8, 3
PROBES = ((500, 40), (500, 160), (2000, 40), (2000, 160), (5000, 160))
"""Rows and columns of cells that are fitted to learn the law of this machine."""


@dataclass(frozen=True, slots=True)
class Size:
    """What decides a cell's seconds. rows : training rows of all pairs in it. rounds : trees of one model, 0 without
    trees. fits : models of all heads."""

    rows: float
    columns: float
    rounds: float
    fits: float

    def terms(self) -> F8:
        """What seconds are linear in: the call, looking at every value, growing trees (or solving), and per column."""
        n, k, trees = self.rows, self.columns, self.rounds * self.fits
        if self.rounds:
            return np.array([1.0, n * k, trees * n * k, trees * k])
        return np.array([1.0, n * k * self.fits, n * k * k, k**3])


@dataclass(frozen=True)
class Law:
    """seconds = coefficients . terms, coefficients >= 0. cells : timed ones it rests on. source : in words."""

    coefficients: tuple[float, ...]
    cells: int
    source: str

    @classmethod
    def fit(cls, sizes: Sequence[Size], seconds: Sequence[float], source: str) -> Law:
        """Non-negative least squares of the relative error."""
        from scipy.optimize import nnls

        A = np.stack([s.terms() for s in sizes])
        truth = np.asarray(seconds, dtype=np.float64)
        weight = 1.0 / np.maximum(truth, 1e-3)
        scale = A.max(axis=0)
        found, _ = nnls(A / scale * weight[:, None], truth * weight)
        return cls(tuple(float(c) for c in found / scale), len(sizes), source)

    def seconds(self, size: Size) -> float:
        return float(np.asarray(self.coefficients) @ size.terms())


def size_of(head: Mapping[str, Any], rows: float, columns: float) -> Size:
    """Of a cell of a run with that head."""
    fits = sum(FITS[h] for h in head["heads"])
    return Size(rows, columns, float(head["params"].get("rounds", 0)), fits)


def timed(run: Run) -> list[tuple[Size, float]]:
    """Sizes and seconds of a run's finished cells."""
    out = []
    for path in sorted((run.folder / "cells").glob(f"*/{RECEIPT}")):
        receipt, times = (json.loads(p.read_text("utf-8")) for p in (path, path.parent / TIMES))
        out.append((size_of(run.head, receipt["rows"], receipt["columns"]), float(times["seconds"])))
    return out


def law_of_runs(found: Iterable[Run], estimator: str) -> Law | None:
    """From all cells of an estimator; None below LEAST_CELLS of LEAST_SIZES different sizes."""
    cells = [each for run in found if run.head["estimator"] == estimator for each in timed(run)]
    if len(cells) < LEAST_CELLS or len({size for size, _ in cells}) < LEAST_SIZES:
        return None
    sizes, seconds = zip(*cells, strict=True)
    return Law.fit(sizes, seconds, f"{len(cells)} cells trained in this project")


def probe(recipe: Recipe, horizon: int = 15) -> Law:
    """From invented rows of the sizes in PROBES, fitted now: some seconds."""
    head = {"heads": recipe.heads, "params": recipe.params}
    sizes, seconds = [], []
    fit_horizon(_invented(*PROBES[0], horizon), horizon, recipe)  # the first one loads libraries
    for rows, columns in PROBES:
        made = _invented(rows, columns, horizon)
        began = time.thread_time()
        fit_horizon(made, horizon, recipe)
        seconds.append(time.thread_time() - began)
        sizes.append(size_of(head, rows, columns))
    return Law.fit(sizes, seconds, f"{len(sizes)} small cells fitted just now")


def _invented(rows: int, columns: int, horizon: int) -> TrainingRows:
    rng = np.random.default_rng(0)
    at = np.arange(rows, dtype=np.int64) * horizon
    X = rng.standard_normal((rows, columns), dtype=np.float32)
    y = {name: {horizon: rng.normal(size=rows)} for name in ("y3", "y4")}
    names = tuple(f"c{k}" for k in range(columns))
    return TrainingRows("invented", names, X, at, at, np.exp(rng.normal(size=rows)), y["y3"], y["y4"])

"""Core-seconds of our own work, from figures that were measured: builds, selection, training cells, live minutes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.build.costs import Costs, shipped
from bqx.features.catalogue import datasets
from bqx.features.declare import Dataset
from bqx.ops.cost.given import Given
from bqx.ops.cost.toml import SHIPPED
from bqx.research.split_plan import plan
from bqx.research.splits import WEEK, YEAR
from bqx.research.targets import HORIZONS
from bqx.research.training.law import FITS, Law, Size
from bqx.research.training.phases import spacing_for

F8 = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """law : seconds of a training cell. rounds, fits : of the models it was fitted on. figures : with their ranges."""

    law: Law
    rounds: float
    fits: float
    figures: Mapping[str, Given]


@lru_cache(maxsize=1)
def measured() -> Measured:
    """`data/measured.json`; ``python -m benchmarks.cost_measured`` makes it from the results of benchmarks."""
    data = json.loads(SHIPPED.joinpath("measured.json").read_text("utf-8"), parse_float=Decimal)
    law = data["law"]
    found = Law(tuple(float(c) for c in law["coefficients"]), law["cells"], law["source"])
    figures = {name: _given(name, each) for name, each in data["figures"].items()}
    return Measured(found, float(law["rounds"]), float(law["fits"]), figures)


def _given(name: str, data: Mapping[str, Any]) -> Given:
    low, mode, high = (Decimal(data[k]) for k in ("low", "mode", "high"))
    return Given(name, low, mode, high, data["unit"], data["source"], date.fromisoformat(data["date"]))


def build_seconds(rows: F8, pairs: F8, costs: Costs | None = None) -> F8:
    """Core-seconds of building the catalogue for `rows` bars of each pair; `costs` of a project, else those shipped.

    A value is computed and written once; bars are loaded twice a month, for datasets that see a pair and those that
    see all. The look-back of a month's first bars is left out: it is under 1 % of a month.
    """
    known = costs or shipped()
    each = sum(_value_seconds(known, d) for d in datasets().values())
    return rows * pairs * (each + 2 * known.load_ns * 1e-9)


def _value_seconds(costs: Costs, dataset: Dataset) -> float:
    cost, _ = costs.of(dataset.name, 4.0)
    return len(dataset.columns) * cost.seconds(1, 1)


def store_bytes(rows: F8, pairs: F8, costs: Costs | None = None) -> F8:
    """Bytes of that store, compressed as it was measured."""
    known = costs or shipped()
    return rows * pairs * sum(len(d.columns) * known.of(d.name, 4.0)[0].bytes for d in datasets().values())


@lru_cache(maxsize=1)
def year_rows() -> tuple[float, ...]:
    """Training rows of a cell of one pair, for each horizon and fold of a year of bars, and the final model's."""
    folds = plan(0, YEAR + 10 * 1440, max(HORIZONS)).folds()
    first = folds[0].train_end - folds[0].train_start
    spans = [f.train_end - f.train_start for f in folds] + [YEAR]
    return tuple(bars / spacing_for(h, first) * (1 - h / WEEK) for h in HORIZONS for bars in spans)


def training_seconds(columns: F8, years: F8, pairs: F8) -> F8:
    """Core-seconds of all walk-forward cells and final models of `pairs`, by the law; linear in years of history."""
    rows = year_rows()
    return pairs * cell_seconds(columns, years * sum(rows), float(len(rows)), measured().fits)


def trial_seconds(columns: F8, years: F8, folds: F8) -> F8:
    """Core-seconds of a trial of a search for a pair, all horizons: the point head alone, on `folds` inner folds."""
    last = year_rows()[len(year_rows()) // len(HORIZONS) - 1 :: len(year_rows()) // len(HORIZONS)]
    return folds * cell_seconds(columns, years * sum(last), float(len(last)), FITS["point"])


def cell_seconds(columns: F8, rows: F8, cells: float, fits: float) -> F8:
    """Of `cells` that have `rows` training rows together. The law is bilinear in rows and columns, which is asked of it
    at three points, so that arrays of draws need no loop."""
    m = measured()

    def at(n: float, k: float) -> float:
        return m.law.seconds(Size(n, k, m.rounds, fits))

    call = at(0, 0)
    column = at(0, 1) - call
    value = at(1, 1) - call - column
    return cells * call + columns * (cells * column + rows * value)

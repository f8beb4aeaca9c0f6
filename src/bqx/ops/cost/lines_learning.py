"""Lines of learning: build features, select, train, search."""

from __future__ import annotations

import numpy as np

from bqx.ops.cost.resources import build_seconds, training_seconds, trial_seconds, year_rows
from bqx.ops.cost.rule import F8, Rule, Values
from bqx.research.targets import HORIZONS

GROUP = "learning"
EVERY = 15
"""Bars between rows that selection looks at, as `bqx select run` has it."""
MACHINE = ("vcpus", "vcpu_ratio", "used", "start_minutes")


def instance_hours(x: Values, core_seconds: F8, jobs: F8) -> F8:
    """Billed hours: our core-seconds on the instance's vCPUs, and the start of each job."""
    work = core_seconds * x["vcpu_ratio"] / (x["vcpus"] * x["used"]) / 3600
    return work + np.where(core_seconds > 0, jobs * x["start_minutes"] / 60, 0.0)


def rules() -> list[Rule]:
    """One a kind of job."""
    start = " x vcpu_ratio / (vcpus x used), and start_minutes a job"
    return [
        Rule("processing", GROUP, "processing", "build features", "processing-hour",
             "builds x core-seconds of all datasets and fits" + start,
             ("builds", "rows_a_year", "years", "pairs", "build_error", "fits_seconds", "dataset_seconds", *MACHINE),
             _processing),
        Rule("selection", GROUP, "selection", "choose columns in every fold and for the final models",
             "processing-hour", "retrains x folds x rows x candidates x select_ns" + start,
             ("retrains", "rows_a_year", "years", "pairs", "candidates", "select_ns", "jobs", *MACHINE), _selection),
        Rule("training", GROUP, "training", "walk-forward cells and final models", "training-hour",
             "retrains x the law of a cell over horizons and folds" + start,
             ("retrains", "years", "pairs", "selected", "law_error", "stream_seconds", "jobs", *MACHINE), _training),
        Rule("tuning", GROUP, "tuning", "search of parameters", "training-hour",
             "tunings x tuned_pairs x trials x inner_folds x the law of a cell" + start,
             ("tunings", "tuned_pairs", "trials", "inner_folds", "years", "selected", "law_error", *MACHINE), _tuning),
    ]  # fmt: skip


def _processing(x: Values) -> F8:
    rows = x["rows_a_year"] * x["years"]
    core = build_seconds(rows, x["pairs"]) * x["build_error"] + x["fits_seconds"] * x["years"] * x["pairs"] / 28
    core = core + x["dataset_seconds"] * x["years"] * x["pairs"]
    return x["builds"] * instance_hours(x, core, np.ones_like(core))


def _selection(x: Values) -> F8:
    one = year_rows()[: len(year_rows()) // len(HORIZONS)]
    years = sum(one) / max(one)  # of all folds together, for they see from four months to the whole year
    rows = x["rows_a_year"] * x["years"] * years / EVERY
    return x["retrains"] * instance_hours(x, x["pairs"] * rows * x["candidates"] * x["select_ns"] * 1e-9, x["jobs"])


def _training(x: Values) -> F8:
    core = training_seconds(x["selected"], x["years"], x["pairs"]) * x["law_error"]
    core = core + x["stream_seconds"] * x["years"] * x["pairs"]
    return x["retrains"] * instance_hours(x, core, x["jobs"])


def _tuning(x: Values) -> F8:
    each = trial_seconds(x["selected"], x["years"], x["inner_folds"]) * x["law_error"]
    return x["tunings"] * instance_hours(x, each * x["trials"] * x["tuned_pairs"], x["tuned_pairs"])

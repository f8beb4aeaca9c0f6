"""What the cost estimate takes from benchmarks; ``python -m benchmarks.cost_measured`` writes it, a test compares.

Every figure keeps the commit and date of its result. Ranges are what was seen, not guesses; docs/cost.md says which."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from bqx.features.catalogue import datasets
from bqx.ops.cost.alternatives import NAMES, alternatives
from bqx.ops.cost.pricebook import read_book
from bqx.ops.cost.resources import build_seconds, measured
from bqx.ops.cost.scenario import read_scenario

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs/cost.md"
BEGIN, END = "<!-- made by python -m benchmarks.cost_measured -->", "<!-- end -->"
TARGET = Path(__file__).parents[1] / "src/bqx/ops/cost/data/measured.json"
ROUNDS, FITS = 80, 6.75
"""Trees of a model and fits of all heads in the run that the law was fitted on (defaults of `boosting`)."""


def made() -> dict[str, Any]:
    """law : of a training cell. figures : name -> low, mode, high, unit, source, date."""
    train, year, planted, live, fits, build, predict = (
        json.loads((RESULTS / f"{n}.json").read_text("utf-8"))
        for n in ("train-scale", "dataset-year", "selection-planted", "live", "fits", "build", "predict")
    )
    select, values = year["select"], planted["rows"] * planted["columns"]
    each = select["rows"] * year["make"]["candidates"]
    rows = build["together"]["values"] / build["pairs"] / sum(len(d.columns) for d in datasets().values())
    told = build_seconds(np.array([rows]), np.array([float(build["pairs"])]))[0]
    more = max(build["together"]["cpu_seconds"] / told, 1.0)
    allowed = train["held_back_error_allowed"]
    return {
        "format": 1,
        "law": {
            "coefficients": train["law"],
            "cells": train["dry_run"]["cells"],
            "rounds": ROUNDS,
            "fits": FITS,
            "source": _source("train-scale", train),
            "date": train["date"],
        },
        "figures": {
            "law_error": _figure((1 - allowed, 1.0, 1 + allowed), "times the law", "train-scale", train),
            "select_ns": _figure(
                (1e9 * planted["core_seconds_a_selection"] / values, 1e9 * select["seconds"]["selection"] / each,
                 1e9 * select["core_seconds"] / each), "core-ns a value", "dataset-year and selection-planted", year,
            ),
            "dataset_seconds": _figure(
                (year["make"]["core_seconds"],) * 3, "core-s a pair-year", "dataset-year", year,
            ),
            "stream_seconds": _figure(
                (year["stream"]["core_seconds"],) * 3, "core-s a pair-year", "dataset-year", year,
            ),
            "build_error": _figure((1.0, more, more), "times the costs of values", "build", build),
            "fits_seconds": _figure((fits["core_seconds_a_year"],) * 3, "core-s a year of 28 pairs", "fits", fits),
            "live_ms": _figure(
                (live["core_ms"]["p50"], live["core_ms"]["p50"], live["core_ms"]["p99"]),
                "core-ms a minute of 28 pairs", "live", live,
            ),
            "predict_ms": _figure(
                (predict["core_ms"]["p5"], predict["core_ms"]["p50"], predict["core_ms"]["p99"]),
                "core-ms a forecast of all horizons", "predict", predict,
            ),
        },
    }  # fmt: skip


def _figure(span: tuple[float, float, float], unit: str, name: str, result: dict[str, Any]) -> dict[str, Any]:
    low, mode, high = (round(float(x), 6) for x in span)
    return {"low": low, "mode": mode, "high": high, "unit": unit, "source": _source(name, result),
            "date": result["date"]}  # fmt: skip


def _source(name: str, result: dict[str, Any]) -> str:
    return f"measured: benchmarks/results/{name.split()[0]}.json, commit {result['commit'][:12]}"


def block() -> str:
    """The table of docs/cost.md: ways of serving, with what ships."""
    book = read_book()
    rows = alternatives(read_scenario(book), book)
    head = "| Serving | Likeliest | P10 | P50 | P90 | its own lines | per 1,000 answers |"
    lines = [
        f"| {a.serving}: {NAMES[a.serving]} | {a.estimate.total} | {a.estimate.p10} | {a.estimate.p50} | "
        f"{a.estimate.p90} | {a.serving_cost} | {a.estimate.per_thousand} |"
        for a in rows
    ]
    said = f"{book.currency} a month, {rows[0].estimate.draws:,} draws, prices NOT CURRENT:"
    return "\n".join([BEGIN, said, "", head, "|---|---:|---:|---:|---:|---:|---:|", *lines, END])


def page() -> str:
    """docs/cost.md with that table in its place."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    return before + block() + rest.partition(END)[2]


if __name__ == "__main__":
    TARGET.write_text(json.dumps(made(), indent=1) + "\n", "utf-8")
    measured.cache_clear()
    PAGE.write_text(page(), "utf-8")
    print(TARGET, PAGE)

"""Inputs, tasks and outcomes as JSON and back, without loss: floats by their shortest exact text, arrays by bytes."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import Any

import numpy as np

from bqx.build.executor import Json
from bqx.build.fits import NewFit
from bqx.build.gather import recipe
from bqx.build.inputs import Inputs
from bqx.build.tasks import Task
from bqx.build.units import Piece, Unit
from bqx.build.worker import Outcome, Spent
from bqx.features.anchors import Edge
from bqx.features.declare import Dataset
from bqx.features.fits import Artefact
from bqx.market.calendar import Calendar
from bqx.market.schedule import make_schedule
from bqx.store.contract import Receipt
from bqx.store.registry import Baseline


def pack_inputs(inputs: Inputs) -> Json:
    """Everything but the recipes, which are code."""
    days: dict[str, dict[int, str]] = {}
    for (pair, day), digest in inputs.days.items():
        days.setdefault(pair, {})[day] = digest
    calendar = inputs.calendar
    return {
        "calendar": [calendar.version, calendar.yearly, [str(day) for day in calendar.dates]],
        "pairs": inputs.pairs,
        "spans": inputs.spans,
        "days": days,
        "t0": inputs.t0,
        "baselines": {pair: asdict(row) for pair, row in inputs.baselines.items()},
        "edges": {pair: [_edge(edge) for edge in edges] for pair, edges in inputs.edges.items()},
        "as_of": inputs.as_of,
        "schedule": None if inputs.schedule is None else inputs.schedule.events,
    }


def _edge(edge: Edge) -> tuple[int, int, float, int, float]:
    return edge.seg_id, edge.first_minute, edge.first_open, edge.last_minute, edge.last_close


def unpack_inputs(data: Json, catalogue: Mapping[str, Dataset]) -> Inputs:
    """Inputs with the recipes of this process's code."""
    version, yearly, dates = data["calendar"]
    return Inputs(
        calendar=Calendar(version, tuple((m, d) for m, d in yearly), tuple(date.fromisoformat(day) for day in dates)),
        pairs=tuple(data["pairs"]),
        recipes={name: recipe(home) for name, home in catalogue.items()},
        spans={pair: (first, last) for pair, (first, last) in data["spans"].items()},
        days={(pair, int(day)): digest for pair, found in data["days"].items() for day, digest in found.items()},
        t0=data["t0"],
        baselines={pair: Baseline(**row) for pair, row in data["baselines"].items()},
        edges={pair: tuple(Edge(*edge) for edge in edges) for pair, edges in data["edges"].items()},
        as_of=data["as_of"],
        schedule=None if data["schedule"] is None else make_schedule(data["schedule"]),
    )


def pack_task(task: Task) -> Json:
    units = [
        {"dataset": u.dataset, "ym": u.ym, "columns": u.columns, "pieces": [asdict(p) for p in u.pieces]}
        for u in task.units
    ]
    return {"ym": task.ym, "units": units, "pairs": task.pairs, "start": task.start, "end": task.end,
            "cells": task.cells, "bytes": task.bytes}  # fmt: skip


def unpack_task(data: Json) -> Task:
    units = tuple(
        Unit(u["dataset"], u["ym"], tuple(u["columns"]), tuple(Piece(**p) for p in u["pieces"])) for u in data["units"]
    )
    return Task(**{**data, "units": units, "pairs": tuple(data["pairs"])})


def pack_outcome(outcome: Outcome) -> Json:
    return {
        "dataset": outcome.unit.dataset,
        "receipts": [receipt.as_dict() for receipt in outcome.receipts],
        "spent": asdict(outcome.spent),
        "attempts": outcome.attempts,
        "reason": outcome.reason,
        "fits": [_pack_fit(new) for new in outcome.fits],
    }


def unpack_outcome(task: Task, data: Json) -> Outcome:
    """With the coordinator's own unit, which knows what it costs."""
    unit = next(unit for unit in task.units if unit.dataset == data["dataset"])
    return Outcome(
        unit,
        tuple(Receipt.from_dict(receipt) for receipt in data["receipts"]),
        Spent(**data["spent"]),
        data["attempts"],
        data["reason"],
        tuple(_unpack_fit(fit) for fit in data["fits"]),
    )


def _pack_fit(new: NewFit) -> Json:
    one = new.artefact
    values = base64.b64encode(one.values.astype("<f8").tobytes()).decode()
    return {"dataset": new.dataset, "input_hash": new.input_hash, "fit": one.fit, "pair": one.pair,
            "point": one.point, "seen_from": one.seen_from, "values": values, "seconds": one.seconds}  # fmt: skip


def _unpack_fit(data: dict[str, Any]) -> NewFit:
    values = np.frombuffer(base64.b64decode(data["values"]), dtype="<f8")
    one = Artefact(data["fit"], data["pair"], data["point"], data["seen_from"], values, data["seconds"])
    return NewFit(data["dataset"], data["input_hash"], one)

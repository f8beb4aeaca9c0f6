"""`bqx models evidence`: make or hand in what GATE7 and GATE8 ask for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from bqx.cli.common import App, emit, json_option
from bqx.cli.cost import figure_options, read_figures

MOST_P99_MS = 250.0


@click.group()
def evidence() -> None:
    """What gates 7 and 8 ask for: make it, or hand in the result of a soak check."""


@evidence.command()
@click.argument("name")
@json_option
@click.pass_obj
def rollback(app: App, name: str, as_json: bool) -> None:
    """Rehearse on a copy: the model goes into production, and what served before comes back (GATE7)."""
    from bqx.research.registry.rehearse import rehearse
    from bqx.research.registry.store import Registry

    registry = Registry(app.open().root)
    model = registry.model(name)
    found = rehearse(registry, model)
    _record(registry, "GATE7", "rollback", model.digest, found, as_json)


@evidence.command()
@click.argument("result", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@json_option
@click.pass_obj
def load(app: App, result: Path, as_json: bool) -> None:
    """Hand in RESULT of `make soak CHECK=api-load`: no error, and P99 below 250 ms (GATE7)."""
    from bqx.research.registry.store import ALL_MODELS, Registry

    data = _soak(result, "api-load", ("errors", "p99_ms", "requests"))
    found = {k: data[k] for k in ("errors", "p99_ms", "requests", "commit")}
    found["ok"] = data["errors"] == 0 and data["requests"] > 0 and data["p99_ms"] < MOST_P99_MS
    _record(Registry(app.open().root), "GATE7", "load", ALL_MODELS, found, as_json)


@evidence.command()
@click.argument("result", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@json_option
@click.pass_obj
def monitors(app: App, result: Path, as_json: bool) -> None:
    """Hand in RESULT of `make soak CHECK=monitors`: false alarms at most one a month, faults found in time (GATE8)."""
    from bqx.research.registry.store import ALL_MODELS, Registry

    wanted = ("ok", "worlds", "false_alarms_a_month")
    data = _soak(result, "monitors", wanted)
    found = {k: data[k] for k in (*wanted, "commit")}
    _record(Registry(app.open().root), "GATE8", "monitors", ALL_MODELS, found, as_json)


@evidence.command()
@click.argument("name")
@click.option("--minutes", type=click.IntRange(1), default=200, show_default=True, help="Random minutes to answer.")
@click.option("--seed", type=click.IntRange(0), default=0)
@json_option
@click.pass_obj
def parity(app: App, name: str, minutes: int, seed: int, as_json: bool) -> None:
    """Answer random minutes as the server does: every number must equal `bqx predict`'s to the bit (GATE7)."""
    import time

    from bqx.base.errors import UsageError
    from bqx.research.registry.store import Registry
    from bqx.serve.api.assemble import make_predictor
    from bqx.serve.api.parity import parity as compare

    project = app.open()
    registry = Registry(project.root)
    model = registry.model(name)
    found = compare(project, make_predictor(project, model.run, time.time), model.pair, minutes=minutes, seed=seed)
    if found.pop("digest") != model.digest:
        raise UsageError(f"the artefact of run {model.run} is not {model.name}", fix="add the run again")
    _record(registry, "GATE7", "parity", model.digest, found, as_json)


@evidence.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False))
@json_option
@click.pass_obj
def security(app: App, path: Path, as_json: bool) -> None:
    """Scan the repository at PATH and its history for secrets (GATE8)."""
    from bqx.ops.secretscan import scan_repository
    from bqx.research.registry.store import ALL_MODELS, Registry

    result = scan_repository(path, history=True)
    found = {"ok": not result.findings, "findings": len(result.findings)}
    _record(Registry(app.open().root), "GATE8", "security", ALL_MODELS, found, as_json)


@evidence.command()
@figure_options
@click.option("--max-age-days", type=click.IntRange(1), default=365, show_default=True, help="Of the oldest price.")
@json_option
@click.pass_obj
def cost(
    app: App, scenario: Path | None, prices: Path | None, serving: str | None, draws: int, seed: int,
    max_age_days: int, as_json: bool,
) -> None:  # fmt: skip
    """Estimate a month: its P90 must be within the budget, at prices that are not too old (GATE8)."""
    from datetime import UTC, datetime

    from bqx.ops.cost.check import evidence as judge
    from bqx.ops.cost.estimate import estimate
    from bqx.research.registry.store import ALL_MODELS, Registry

    root = app.open().root
    read, book = read_figures(root, scenario, prices, serving)
    found = judge(estimate(read, book, draws=draws, seed=seed), datetime.now(UTC).date(), max_age_days)
    _record(Registry(root), "GATE8", "cost", ALL_MODELS, found, as_json)


def _soak(path: Path, check: str, wanted: tuple[str, ...]) -> dict[str, Any]:
    """The result of a soak check; UsageError when it is another one's, or without the commit it was made at."""
    from bqx.base.errors import UsageError

    try:
        data = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise UsageError(f"not a result: {error}", where=str(path)) from error
    absent = [k for k in ("check", "commit", *wanted) if not isinstance(data, dict) or k not in data]
    if absent or data["check"] != check:
        raise UsageError(f"not a result of `make soak CHECK={check}`", where=str(path))
    return dict(data)


def _record(registry: Any, gate: str, kind: str, subject: str, found: dict[str, Any], as_json: bool) -> None:
    from bqx.base.errors import CheckError

    figures = {k: v for k, v in found.items() if k != "ok"}
    registry.record(gate, subject, ok=bool(found["ok"]), figures=figures, source=kind)
    state = "good" if found["ok"] else "NOT good"
    text = f"{gate} {kind}: {state}; " + ", ".join(f"{k} {v}" for k, v in figures.items())
    emit({"gate": gate, "kind": kind, **found}, as_json, text)
    if not found["ok"]:
        raise CheckError(f"{kind} is recorded, and not good", where=gate)

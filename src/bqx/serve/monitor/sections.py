"""The sections of a look: what each reads of a project, and hands to the pure monitors."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bqx.base.errors import BqxError, MonitorError, MonitorInputError
from bqx.research.registry.store import NAME as REGISTRY
from bqx.research.training.folder import Run, open_run
from bqx.serve.api.model_sources import RegistryModels, RunModels
from bqx.serve.api.models import ModelSet
from bqx.serve.monitor import drift_look
from bqx.serve.monitor import performance as judging
from bqx.serve.monitor import retrain as training
from bqx.serve.monitor.finding import Finding
from bqx.serve.monitor.look import Look, Note, NotJudged
from bqx.serve.monitor.probe import keep
from bqx.serve.monitor.probe import probe as ask
from bqx.serve.monitor.served import Parity, answers_again, forecasts_again
from bqx.serve.monitor.service import Sample, levels
from bqx.serve.monitor.settings import Settings
from bqx.serve.monitor.state import FOLDER, State

if TYPE_CHECKING:
    from bqx.base.secret_provider import SecretProvider
    from bqx.build.project import Project
    from bqx.serve.api.models import Resident


def load_models(project: Project, settings: Settings, look: Look) -> ModelSet | None:
    """The models that serve: of the named run, else of the registry; None when there is neither."""
    root = project.root
    if not settings.run and not (root / REGISTRY).is_file():
        return None
    try:
        return ModelSet(RunModels(root, settings.run) if settings.run else RegistryModels(root), root)
    except BqxError as error:
        what = f"the models of {settings.source} cannot be loaded: {error.what}"
        look.findings.append(Finding("monitor", "models", "critical", what))
        return None


def _need(models: ModelSet | None) -> ModelSet:
    if models is None:
        raise NotJudged("no model serves", fix='run = "NAME" in monitor.toml, --models NAME, or the registry')
    return models


def service(root: Path, state: State, settings: Settings, now: float) -> tuple[list[Finding], dict[str, Any]]:
    path = root / "serve" / "status.json"
    if not path.is_file():
        raise NotJudged("no server has run in this project")
    try:
        status = json.loads(path.read_text("utf-8"))
        sample = Sample.of_status(status)
    except (ValueError, KeyError, TypeError) as error:
        raise MonitorInputError(f"the server's state cannot be read: {error!r}", where=str(path)) from error
    found: list[Finding] = []
    age = now - sample.at
    if status["state"] == "running" and age > 60.0:
        found.append(Finding("service", "api", "critical", f"the server has not written its state for {age:.0f} s",
                             age, 60.0))  # fmt: skip
    state.sample(sample)
    found += [Finding("service", str(a["part"]), "warning", f"the server says: {a['what']}") for a in status["alerts"]]
    seen = {"state": status["state"], "requests": sample.requests, "errors": sample.errors, "p99_ms": sample.p99_ms}
    return found + levels(state.samples, settings.service), seen


def probe(
    project: Project,
    models: ModelSet | None,
    settings: Settings,
    now: float,
    provider: SecretProvider | None,
    dry: bool,
) -> tuple[list[Finding], dict[str, Any]]:
    if not settings.probe.url:
        raise NotJudged("no server is asked: probe.url is not set")
    if provider is None:
        raise MonitorError("the API key of the probe needs a secrets provider", where="probe.key")
    done = ask(settings.probe.url, provider.get(settings.probe.key), sorted(_need(models).all()), time.time)
    if not dry:
        for pair, answer in done.answers.items():
            keep(project.root / FOLDER / "answers", pair, answer)
    seen = {"answers": len(done.answers), "refused": done.refused, "clock_s": done.clock}
    return done.findings(now, settings.health), seen


def parity(project: Project, models: ModelSet | None, settings: Settings) -> tuple[list[Finding], dict[str, Any]]:
    files, answers = Parity(), Parity()
    for pair, model in _need(models).all().items():
        folder = project.root / "predictions" / settings.source
        files.add(forecasts_again(project, model, folder, cost=settings.cost_bps))
        answers.add(answers_again(project, model, keep(project.root / FOLDER / "answers", pair, None)))
    if not files.compared and not answers.compared and not files.revised:
        raise NotJudged("nothing was served that could be computed again")
    found = files.findings("forecasts") + answers.findings("features")
    return found, {"forecasts": files.as_dict(), "features": answers.as_dict()}


def drift(
    project: Project, models: ModelSet | None, settings: Settings, state: State, note: Note
) -> tuple[list[Finding], dict[str, Any]]:
    chosen = list(_need(models).all().values())
    try:
        key = [drift_look.key_of(project, chosen), asdict(settings.drift), asdict(settings.health)]
        return state.verdict(
            "drift", key, lambda: drift_look.look(project, chosen, settings.drift, settings.health, note)
        )
    except MonitorInputError as error:
        raise NotJudged(error.what) from error


def performance(
    project: Project, models: ModelSet | None, settings: Settings, state: State
) -> tuple[list[Finding], dict[str, Any]]:
    """Complete trade days only, so that one look a day decides."""
    held = _need(models).all()
    folder = project.root / "predictions" / settings.source
    runs = runs_of(held.values())
    spans = project.bars.spans(project.as_of)
    today = min((project.calendar.trade_day(spans[p][1]) for p in held if p in spans), default=0)

    def judge() -> tuple[list[Finding], dict[str, Any]]:
        horizons = sorted({h for m in held.values() for h in m.artefact.horizons})
        served = judging.served_days(project, folder, held, horizons)
        judged = judging.judge(
            judging.reference_of(project, runs), served.filter(served["day"] < today),
            arl=settings.performance.arl, draws=settings.performance.draws,
        )  # fmt: skip
        if not judged:
            raise NotJudged("no label of a served forecast after the test days of the run is complete yet")
        return judging.findings(judged, settings.source), {"series": [j.as_dict() for j in judged]}

    try:
        return state.verdict(
            "performance", [sorted({r.hash for r in runs.values()}), today, asdict(settings.performance)], judge
        )
    except MonitorInputError as error:
        raise NotJudged(error.what) from error


def retrain(
    project: Project, models: ModelSet | None, settings: Settings, findings: list[Finding], now: float
) -> tuple[list[Finding], dict[str, Any]]:
    ends = [datetime.fromisoformat(m.artefact.manifest["window"]["last"]) for m in _need(models).all().values()]
    age = (datetime.fromtimestamp(now, UTC) - min(ends)).total_seconds() / 86_400.0
    found = training.decide(findings, age_days=age, every=settings.retrain.every)
    seen: dict[str, Any] = {"decision": found.as_dict(), "comparison": None}
    if settings.retrain.challenger:
        serving = {run.name: run for run in runs_of(_need(models).all().values()).values()}
        if len(serving) > 1:
            raise NotJudged(f"models of {len(serving)} runs serve; a challenger is compared with one")
        seen["comparison"] = training.compare_runs(open_run(project, settings.retrain.challenger), *serving.values())
    if not found.retrain:
        return [], seen
    return [Finding("retrain", settings.source, "info", f"train again: {found.what}")], seen


def runs_of(models: Iterable[Resident]) -> dict[str, Run]:
    """The training run of each pair's model."""
    return {m.pair: Run.read(m.located.folder.parents[1]) for m in models}

"""One look of all monitors at a project: findings, alerts, `monitor/latest.json`. Made for cron."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bqx.base.atomic import write_text
from bqx.base.errors import BqxError, MonitorError, MonitorInputError
from bqx.base.runlog import current_run
from bqx.serve.monitor import bars_look, drift_look, performance, retrain
from bqx.serve.monitor.finding import RANK, Finding
from bqx.serve.monitor.probe import keep, probe
from bqx.serve.monitor.served import Parity, answers_again, forecasts_again
from bqx.serve.monitor.service import Sample, levels
from bqx.serve.monitor.settings import Settings
from bqx.serve.monitor.sinks import deliver, make_sinks
from bqx.serve.monitor.state import FOLDER, State

if TYPE_CHECKING:
    from bqx.base.secret_provider import SecretProvider
    from bqx.build.project import Project
    from bqx.serve.api.models import ModelSet

LATEST = Path(FOLDER) / "latest.json"
FORMAT = 1
CHECKS: dict[str, frozenset[str]] = {
    "data": frozenset({"stale", "gaps", "duplicates", "flat", "spread", "clock"}),
    "service": frozenset({"errors", "budget", "latency", "service"}),
    "probe": frozenset({"probe"}),
    "parity": frozenset({"parity"}),
    "drift": frozenset({"drift", "nulls"}),
    "performance": frozenset({"loss", "coverage"}),
    "retrain": frozenset({"retrain"}),
}
"""Section -> checks it gives a verdict on."""
Part = Callable[[], tuple[list[Finding], dict[str, Any]]]
Note = Callable[[str], None]


class Look:
    """Collects sections; one that cannot judge says why and leaves its alerts as they are."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.sections: dict[str, Any] = {}
        self.judged: set[str] = {"monitor"}

    def take(self, name: str, part: Part) -> None:
        try:
            found, seen = part()
        except NotJudged as error:
            self.sections[name] = {"state": "not judged", "why": error.what}
            return
        except BqxError as error:
            self.sections[name] = {"state": "failed", "why": f"{error.code} {error.what}"}
            what = f"the monitor of {name} failed: {error.what}"
            self.findings.append(Finding("monitor", name, "warning", what))
            return
        self.findings += found
        self.judged |= CHECKS[name]
        worst = min((RANK[f.severity] for f in found), default=3)
        self.sections[name] = {"state": ("critical", "warning", "info", "good")[worst], "seen": seen}


class NotJudged(MonitorInputError):  # noqa: N818
    """Nothing to judge: no server, no models, too few days. No fault of anybody."""


def monitor(
    project: Project,
    settings: Settings,
    now: float,
    provider: SecretProvider | None,
    *,
    dry_run: bool = False,
    note: Note = lambda _: None,
) -> dict[str, Any]:
    """Look, tell, and write. now : seconds since 1970.

    Run again at the same time it sends nothing twice. With `dry_run` nothing is written and nothing sent.
    """
    root = project.root
    state = State.read(root)
    sinks = [] if dry_run else make_sinks(root, settings.alerts, provider)
    look = Look()
    models = _models(project, settings, look)
    look.take("data", lambda: bars_look.look(project, int(now // 60), settings.health))
    look.take("service", lambda: _service(root, state, settings, now))
    look.take("probe", lambda: _probe(project, models, settings, now, provider, dry_run))
    look.take("parity", lambda: _parity(project, models, settings))
    look.take("drift", lambda: _drift(project, models, settings, state, note))
    look.take("performance", lambda: _performance(project, models, settings, state))
    look.take("retrain", lambda: _retrain(project, models, settings, look.findings, now))
    messages = state.book.take(
        look.findings,
        now,
        repeat=3600.0 * settings.alerts.repeat_hours,
        simulated=project.simulated,
        judged=look.judged,
    )
    data: dict[str, Any] = {
        "format": FORMAT,
        "at": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        "run_id": current_run().run_id,
        "models": settings.run,
        "simulated": project.simulated,
        "sections": look.sections,
        "findings": [f.as_dict() for f in sorted(look.findings, key=lambda f: (RANK[f.severity], f.key))],
        "alerts": state.book.as_dict()["alerts"],
        "silences": state.book.as_dict()["silences"],
        "sent": [m.as_dict() for m in messages],
        "undelivered": {},
    }
    if not dry_run:
        data["undelivered"] = deliver(sinks, data["sent"], state.waiting)
        state.write(root)
        write_text(root / LATEST, json.dumps(data, indent=1, allow_nan=False) + "\n")
    return data


def read_latest(root: Path) -> dict[str, Any]:
    """The latest look; MonitorError when there is none."""
    path = root / LATEST
    try:
        data: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise MonitorError("there is no look to report", where=str(path), fix="`bqx monitor run` makes one") from error
    if data.get("format") != FORMAT:
        raise MonitorError(f"the look is not of format {FORMAT}", where=str(path), fix="`bqx monitor run`")
    return data


def _models(project: Project, settings: Settings, look: Look) -> ModelSet | None:
    from bqx.serve.api.models import ModelSet, RunModels

    if not settings.run:
        return None
    try:
        return ModelSet(RunModels(project.root, settings.run), project.root)
    except BqxError as error:
        what = f"the models of run {settings.run} cannot be loaded: {error.what}"
        look.findings.append(Finding("monitor", "models", "critical", what))
        return None


def _need(models: ModelSet | None) -> ModelSet:
    if models is None:
        raise NotJudged("no run of models is named", fix='run = "NAME" in monitor.toml, or --models NAME')
    return models


def _service(root: Path, state: State, settings: Settings, now: float) -> tuple[list[Finding], dict[str, Any]]:
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


def _probe(
    project: Project,
    models: ModelSet | None,
    settings: Settings,
    now: float,
    provider: SecretProvider | None,
    dry: bool,
) -> tuple[list[Finding], dict[str, Any]]:
    import time

    if not settings.probe.url:
        raise NotJudged("no server is asked: probe.url is not set")
    if provider is None:
        raise MonitorError("the API key of the probe needs a secrets provider", where="probe.key")
    done = probe(settings.probe.url, provider.get(settings.probe.key), sorted(_need(models).all()), time.time)
    if not dry:
        for pair, answer in done.answers.items():
            keep(project.root / FOLDER / "answers", pair, answer)
    seen = {"answers": len(done.answers), "refused": done.refused, "clock_s": done.clock}
    return done.findings(now, settings.health), seen


def _parity(project: Project, models: ModelSet | None, settings: Settings) -> tuple[list[Finding], dict[str, Any]]:
    files, answers = Parity(), Parity()
    for pair, model in _need(models).all().items():
        folder = project.root / "predictions" / settings.run
        files.add(forecasts_again(project, model, folder, cost=settings.cost_bps))
        answers.add(answers_again(project, model, keep(project.root / FOLDER / "answers", pair, None)))
    if not files.compared and not answers.compared and not files.revised:
        raise NotJudged("nothing was served that could be computed again")
    found = files.findings("forecasts") + answers.findings("features")
    return found, {"forecasts": files.as_dict(), "features": answers.as_dict()}


def _drift(
    project: Project, models: ModelSet | None, settings: Settings, state: State, note: Note
) -> tuple[list[Finding], dict[str, Any]]:
    from dataclasses import asdict

    chosen = list(_need(models).all().values())
    try:
        key = [drift_look.key_of(project, chosen), asdict(settings.drift), asdict(settings.health)]
        return state.verdict(
            "drift", key, lambda: drift_look.look(project, chosen, settings.drift, settings.health, note)
        )
    except MonitorInputError as error:
        raise NotJudged(error.what) from error


def _performance(
    project: Project, models: ModelSet | None, settings: Settings, state: State
) -> tuple[list[Finding], dict[str, Any]]:
    """Complete trade days only, so that one look a day decides."""
    from dataclasses import asdict

    from bqx.research.training.folder import FOLDER as RUNS
    from bqx.research.training.folder import HEAD, open_run

    held = _need(models).all()
    folder = project.root / "predictions" / settings.run
    if not (project.root / RUNS / settings.run / HEAD).is_file():
        raise NotJudged(f"run {settings.run} has models only, no test forecasts to compare with")
    run = open_run(project, settings.run)
    spans = project.bars.spans(project.as_of)
    today = min((project.calendar.trade_day(spans[p][1]) for p in held if p in spans), default=0)

    def judge() -> tuple[list[Finding], dict[str, Any]]:
        served = performance.served_days(project, folder, held, run.horizons)
        judged = performance.judge(
            performance.reference_of(project, run), served.filter(served["day"] < today),
            arl=settings.performance.arl, draws=settings.performance.draws,
        )  # fmt: skip
        if not judged:
            raise NotJudged("no label of a served forecast after the test days of the run is complete yet")
        return performance.findings(judged, run.name), {"series": [j.as_dict() for j in judged]}

    try:
        return state.verdict("performance", [run.hash, today, asdict(settings.performance)], judge)
    except MonitorInputError as error:
        raise NotJudged(error.what) from error


def _retrain(
    project: Project, models: ModelSet | None, settings: Settings, findings: list[Finding], now: float
) -> tuple[list[Finding], dict[str, Any]]:
    from bqx.research.training.folder import open_run

    ends = [datetime.fromisoformat(m.artefact.manifest["window"]["last"]) for m in _need(models).all().values()]
    age = (datetime.fromtimestamp(now, UTC) - min(ends)).total_seconds() / 86_400.0
    found = retrain.decide(findings, age_days=age, every=settings.retrain.every)
    seen: dict[str, Any] = {"decision": found.as_dict(), "comparison": None}
    if settings.retrain.challenger:
        seen["comparison"] = retrain.compare_runs(
            open_run(project, settings.retrain.challenger), open_run(project, settings.run)
        )
    if not found.retrain:
        return [], seen
    return [Finding("retrain", settings.run, "info", f"train again: {found.what}")], seen

"""One look of all monitors at a project: findings, alerts, `monitor/latest.json`. Made for cron."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bqx.base.atomic import write_text
from bqx.base.errors import MonitorError
from bqx.base.runlog import current_run
from bqx.serve.monitor import bars_look, sections
from bqx.serve.monitor.finding import RANK
from bqx.serve.monitor.look import Look, Note
from bqx.serve.monitor.settings import Settings
from bqx.serve.monitor.sinks import deliver, make_sinks
from bqx.serve.monitor.state import FOLDER, State

if TYPE_CHECKING:
    from bqx.base.secret_provider import SecretProvider
    from bqx.build.project import Project

LATEST = Path(FOLDER) / "latest.json"
FORMAT = 1


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
    models = sections.load_models(project, settings, look)
    look.take("data", lambda: bars_look.look(project, int(now // 60), settings.health))
    look.take("service", lambda: sections.service(root, state, settings, now))
    look.take("probe", lambda: sections.probe(project, models, settings, now, provider, dry_run))
    look.take("parity", lambda: sections.parity(project, models, settings))
    look.take("drift", lambda: sections.drift(project, models, settings, state, note))
    look.take("performance", lambda: sections.performance(project, models, settings, state))
    look.take("retrain", lambda: sections.retrain(project, models, settings, look.findings, now))
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
        "models": settings.source,
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

"""`bqx monitor`: is what is served still right? For cron."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bqx.base.errors import CheckError
from bqx.cli.common import App, dry_run_option, emit, json_option
from bqx.cli.serve import _seconds

if TYPE_CHECKING:
    from bqx.base.secret_provider import SecretProvider
    from bqx.build.project import Project


@click.group()
def monitor() -> None:
    """Data health, drift, parity, loss, coverage, service levels; alerts."""


@monitor.command()
@click.option(
    "--models",
    "run_name",
    metavar="RUN",
    default=None,
    help="Else monitor.toml's, else the registry.",
)
@click.option("--at", metavar="TIME", default=None, help="Look as if it were then (ISO, with offset).")
@click.option("--strict", is_flag=True, help="Exit with 5 when a critical finding is open.")
@dry_run_option
@json_option
@click.pass_obj
def run(app: App, run_name: str | None, at: str | None, strict: bool, dry_run: bool, as_json: bool) -> None:
    """Look once, send what is new, write PROJECT/monitor/. Run again it sends nothing twice."""
    from bqx.serve.monitor.run import monitor as look
    from bqx.serve.monitor.settings import read_settings

    with closing(app.open()) as project:
        settings = read_settings(project.root, run_name)
        moment = _seconds(at)
        now = time.time() if moment is None else moment
        data = look(project, settings, now, _provider(project), dry_run=dry_run, note=lambda t: click.echo(t, err=True))
    emit(data, as_json, lambda: _show(data))
    critical = [f for f in data["findings"] if f["severity"] == "critical"]
    if strict and critical:
        raise CheckError(f"{len(critical)} critical findings: {critical[0]['what']}", where=critical[0]["key"])


@monitor.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder; PROJECT/reports by default.")
@json_option
@click.pass_obj
def report(app: App, out: Path | None, as_json: bool) -> None:
    """The latest look as HTML, Markdown and JSON."""
    from bqx.serve.monitor.report import monitor_report
    from bqx.serve.monitor.run import read_latest

    with closing(app.open()) as project:
        data = read_latest(project.root)
        paths = monitor_report(data).write(out or project.root / "reports", "monitor")
    emit({"report": [str(p) for p in paths], "at": data["at"]}, as_json, str(paths[0]))


@monitor.command()
@click.argument("pattern")
@click.option("--until", metavar="TIME", required=True, help="ISO, with offset.")
@click.option("--by", required=True, help="Who asks for it.")
@click.option("--why", required=True)
@json_option
@click.pass_obj
def silence(app: App, pattern: str, until: str, by: str, why: str, as_json: bool) -> None:
    """Send nothing about alerts like PATTERN (`drift/*`) until then; they are still found and shown."""
    from dataclasses import asdict

    from bqx.serve.monitor.alerts import Silence
    from bqx.serve.monitor.state import State

    with closing(app.open()) as project:
        state = State.read(project.root)
        made = Silence(pattern, _seconds(until) or 0.0, by, why)
        state.book.silences.append(made)
        state.write(project.root)
        hit = [key for key in state.book.alerts if made.covers(key, 0.0)]
    emit({**asdict(made), "alerts": hit}, as_json, f"{pattern} is silent until {until}; open alerts: {len(hit)}")


def _provider(project: Project) -> SecretProvider | None:
    from bqx.base.secrets import provider_from

    return None if project.config.secrets.provider == "none" else provider_from(project.config)


def _show(data: dict[str, Any]) -> None:
    mark = " SIMULATED" if data["simulated"] else ""
    click.echo(f"looked at {data['at']}{mark}")
    for name, section in data["sections"].items():
        click.echo(f"  {name:12} {section['state']} {section.get('why', '')}".rstrip())
    for f in data["findings"]:
        click.echo(f"{f['severity']:8} {f['key']}: {f['what']}")
    click.echo(f"{len(data['sent'])} messages" + "".join(f"; {k}: {v}" for k, v in data["undelivered"].items()))

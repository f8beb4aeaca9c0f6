"""``bqx config``: every setting, and where it comes from."""

from __future__ import annotations

import click

from bqx.cli.common import App, emit, json_option


@click.group(name="config")
def config() -> None:
    """Show the configuration and where each value comes from."""


@config.command()
@json_option
@click.pass_obj
def show(app: App, as_json: bool) -> None:
    """Every key with its value and origin: default, file, env or flag."""
    from bqx.base.config import CONFIG_NAME, load_config
    from bqx.base.redaction import redact

    rows = load_config(app.project_path).origins()
    path = app.project_path / CONFIG_NAME
    present = path.is_file()

    def text() -> None:
        shown = [(str(r["key"]), _plain(r["value"]), str(r["origin"])) for r in rows]
        wide = max(len(key) for key, _, _ in shown)
        click.echo(f"# {path}{'' if present else ' (not there: defaults and environment only)'}")
        for key, value, origin in shown:
            click.echo(f"{key:<{wide}}  {origin:<7}  {redact(value)}")

    emit({"file": str(path) if present else None, "settings": rows}, as_json, text)


def _plain(value: object) -> str:
    if isinstance(value, list):
        return f"{len(value)}: {' '.join(map(str, value))}"
    return "-" if value is None else str(value)

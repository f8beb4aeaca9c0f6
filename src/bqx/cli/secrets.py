"""``bqx secrets``: is the provider reachable, and does the repository leak?"""

from __future__ import annotations

from pathlib import Path

import click

from bqx.cli.common import App, emit, json_option


@click.group(name="secrets")
def secrets() -> None:
    """Check the secrets provider; scan tree and history for leaks."""


@secrets.command()
@click.argument("names", nargs=-1)
@json_option
@click.pass_obj
def check(app: App, names: tuple[str, ...], as_json: bool) -> None:
    """Reach the provider and look up NAMES; no value is ever printed. Exit code 10 when one is missing."""
    from bqx.base.config import load_config
    from bqx.base.errors import SecretError
    from bqx.base.secrets import provider_from

    config = load_config(app.project_path)
    provider = provider_from(config)
    reached = provider.probe()
    rows: list[dict[str, object]] = []
    first: SecretError | None = None
    for name in names:
        try:
            provider.get(name)
            rows.append({"name": name, "present": True, "why": None})
        except SecretError as error:
            first = first or error
            rows.append({"name": name, "present": False, "why": error.what})
    lines = [f"provider {config.secrets.provider}: {reached}"]
    lines += [f"  {'ok     ' if row['present'] else 'MISSING'} {row['name']}" for row in rows]
    emit({"provider": config.secrets.provider, "reached": reached, "secrets": rows}, as_json, "\n".join(lines))
    if first is not None:
        raise first


@secrets.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True), default=Path())
@click.option("--history/--no-history", default=True, help="Scan every blob of every commit too (default).")
@json_option
def scan(path: Path, history: bool, as_json: bool) -> None:
    """Look for secrets in the work tree at PATH and in its whole Git history; values are never printed.

    Exit code 5 when something is found that .secrets-allow.toml does not excuse with a reason and a date.
    """
    from bqx.base.errors import SecretLeak
    from bqx.ops.secretscan import scan_repository

    result = scan_repository(path, history=history)
    emit(result.as_dict(), as_json, result.text())
    if result.findings:
        raise SecretLeak(
            f"{len(result.findings)} possible secrets",
            where=str(path),
            fix="change the secret at its issuer first, then clean the history: docs/security.md",
        )

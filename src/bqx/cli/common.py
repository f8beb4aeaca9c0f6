"""What every command shares: the application object, output and error printing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from bqx.build.project import Project

json_option = click.option("--json", "as_json", is_flag=True, help="Machine-readable output on stdout.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would be done; change nothing.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


@dataclass(frozen=True, slots=True)
class App:
    """Set up by the root command; commands get it with ``@click.pass_obj``."""

    project_path: Path
    log_json: bool
    run_id: str

    def open(self, as_of: str | None = None) -> Project:
        from bqx.build.project import Project

        return Project.open(self.project_path, as_of=as_of)


def emit(data: Any, as_json: bool, text: str | Callable[[], None]) -> None:
    """Print `data` as one JSON document, or `text` (a string, or a function that prints) for people."""
    if as_json:
        click.echo(json.dumps(data, indent=2, default=str, allow_nan=False))
    elif callable(text):
        text()
    else:
        click.echo(text)

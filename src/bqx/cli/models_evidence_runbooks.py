"""`bqx models evidence runbooks`: every step of the runbooks must be a command that exists (GATE8)."""

from __future__ import annotations

from pathlib import Path

import click

from bqx.cli.common import App, json_option


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@json_option
@click.pass_obj
def runbooks(app: App, folder: Path, as_json: bool) -> None:
    """Review the runbooks in FOLDER, docs/runbooks of a checkout: those needed are there, and each step of them is a
    command this bqx has, with options it takes (GATE8). Nothing is run."""
    from bqx.cli.main import root
    from bqx.cli.models_evidence import _record
    from bqx.ops.container.__main__ import main as container
    from bqx.ops.runbooks import review
    from bqx.research.registry.store import ALL_MODELS, Registry

    found = review(folder, {"bqx": root, "python -m bqx.ops.container": container})
    for problem in found.problems:
        click.echo(problem, err=True)
    figures = {"ok": found.ok, **found.figures()}
    _record(Registry(app.open().root), "GATE8", "runbooks", ALL_MODELS, figures, as_json)

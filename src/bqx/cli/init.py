"""`bqx init`: make a project folder."""

from __future__ import annotations

from pathlib import Path

import click

from bqx.cli.common import App, emit, json_option


@click.command()
@click.argument("path", type=click.Path(path_type=Path), required=False)
@click.option("--pairs", metavar="A,B", help="Pairs of the project; all 28 unless given.")
@click.option(
    "--t0", default="auto", show_default=True, help="Instant index levels start from: auto, seed, or ISO time."
)
@click.option("--calendar", default="default", show_default=True, help="Holiday file, relative to the project.")
@click.option("--name", default=None, help="Name shown in reports; the folder's unless given.")
@json_option
@click.pass_obj
def init(
    app: App, path: Path | None, pairs: str | None, t0: str, calendar: str, name: str | None, as_json: bool
) -> None:
    """Make a project in PATH (or in -C PATH). Refuses a folder that is one already."""
    from bqx.build.project import Project
    from bqx.market.pairs import PAIRS

    chosen = [part for part in (pairs or "").replace(",", " ").split() if part] or list(PAIRS)
    project = Project.create(path or app.project_path, name=name, pairs=chosen, t0=t0, calendar=calendar)
    data = {"path": str(project.root), "pairs": list(project.pairs), "t0": t0, "calendar": calendar}
    text = (
        f"project {project.config.project.name} in {project.root} with {len(project.pairs)} pairs\n"
        "next: `bqx bars import FILES` or `bqx bars simulate`, then `bqx build run`"
    )
    emit(data, as_json, text)

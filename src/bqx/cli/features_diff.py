"""`bqx features snapshot` and `diff`: what the catalogue says, and how it changed."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bqx.cli.common import App, emit, json_option
from bqx.cli.features_homes import homes as homes_of

if TYPE_CHECKING:
    from bqx.build.snapshot import Difference


@click.command()
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The file to write.")
@click.option("--built", is_flag=True, help="What the project's partitions were built from, not what this code says.")
@click.pass_obj
def snapshot(app: App, out: Path, built: bool) -> None:
    """Write the catalogue as JSON: versions, code hashes and every column's declaration."""
    from bqx.base.atomic import write_text

    data = _load(app, "built" if built else "now")
    write_text(out, json.dumps(data, indent=1, allow_nan=False) + "\n")
    click.echo(
        f"{out}: {len(data['datasets'])} datasets, {sum(len(d['columns']) for d in data['datasets'].values())} columns"
    )


@click.command()
@click.argument("old", default="built")
@click.argument("new", default="now")
@json_option
@click.pass_obj
def diff(app: App, old: str, new: str, as_json: bool) -> None:
    """How the catalogue changed from OLD to NEW: columns added, removed and changed, and in which fields.

    OLD and NEW are files of `bqx features snapshot`, `built` (what the project's partitions were built from) or `now`
    (what this code says). A renamed column is one removed and one added: nothing is guessed.
    """
    from bqx.build.snapshot import compare

    before, after = _load(app, old), _load(app, new)
    if old == "built":  # datasets that were never built are no news
        kept = before["datasets"]
        after = {**after, "datasets": {name: d for name, d in after["datasets"].items() if name in kept}}
    found = compare(before, after)

    def text() -> None:
        for difference in found:
            _tell(difference)
        count = Counter(f"columns {d.what}" if d.column else f"datasets {d.what}" for d in found)
        click.echo(", ".join(f"{n} {what}" for what, n in sorted(count.items())) or "no difference")

    emit({"old": old, "new": new, "differences": [d.as_dict() for d in found]}, as_json, text)


def _load(app: App, name: str) -> dict[str, Any]:
    from bqx.build.snapshot import built_snapshot, read_snapshot, take_snapshot

    if name == "now":
        return take_snapshot(homes_of(app))
    if name == "built":
        with closing(app.open()) as project:
            return built_snapshot(project)
    return read_snapshot(Path(name))


def _tell(difference: Difference) -> None:
    place = f"{difference.dataset}.{difference.column}" if difference.column else difference.dataset
    click.echo(f"{difference.what:8} {place}")
    for name, (old, new) in difference.fields.items():
        click.echo(f"           {name}: {_short(old)} -> {_short(new)}")


def _short(value: Any) -> str:
    return "-" if value in (None, "", []) else str(value)

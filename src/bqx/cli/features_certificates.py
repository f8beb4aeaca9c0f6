"""`bqx features show` and `certificates`: what is declared of columns, and what was proven."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from bqx.cli.common import App, emit, json_option
from bqx.cli.features_homes import homes as homes_of

if TYPE_CHECKING:
    from bqx.build.certificate import Standing
    from bqx.features.declare import Dataset


@click.command()
@click.argument("name", metavar="DATASET|COLUMN")
@json_option
@click.pass_obj
def show(app: App, name: str, as_json: bool) -> None:
    """All that is declared of a column (`returns_raw_rate.ret_60`), or the columns of a dataset.

    In a project also the column's certificate: what `bqx features check` found, on which bars.
    """
    from bqx.features.catalogue import built_in, column, datasets, describe

    if home := {**built_in(), **datasets()}.get(name):
        rows: list[dict[str, Any]] = [describe(home, item) for item in home.columns]
        width = max(len(r["column"]) for r in rows)
        lines = [f"{home.name}: {home.summary}"]
        lines += [f"  {r['column']:{width}}  {r['unit']:11}  warm-up {r['warmup']:5}  {r['formula']}" for r in rows]
        emit(rows, as_json, "\n".join(lines))
        return
    home, item = column(name)
    record = describe(home, item)
    standing = _of_column(app, home, item.name)
    shown = [f"{k:14} {_plain(v)}" for k, v in record.items() if v not in (None, "", [])]
    if standing is not None:
        record["certificate"] = standing.as_dict()
        shown.append(f"{'certificate':14} {_line(standing)}")
    emit(record, as_json, "\n".join(shown))


def _plain(value: Any) -> str:
    return ", ".join("-" if v is None else str(v) for v in value) if isinstance(value, list) else str(value)


def _of_column(app: App, home: Dataset, name: str) -> Standing | None:
    """None outside a project."""
    from bqx.base.config import CONFIG_NAME

    if not (app.project_path / CONFIG_NAME).is_file():
        return None
    from bqx.build.certificate import standings

    with closing(app.open()) as project:
        return next(s for s in standings(project, [home]) if s.column == name)


@click.command()
@click.option("--dataset", "only", multiple=True, help="Only these datasets.")
@click.option("--out-of-date", "open_only", is_flag=True, help="Only columns without a certificate that holds.")
@json_option
@click.pass_obj
def certificates(app: App, only: tuple[str, ...], open_only: bool, as_json: bool) -> None:
    """The latest certificate of each column, and which are out of date or missing.

    A certificate holds when all checks passed and formula, version and code are still the same.
    """
    from bqx.build.certificate import standings

    homes = homes_of(app, only)
    with closing(app.open()) as project:
        everything = standings(project, homes)
    found = [s for s in everything if not (open_only and s.holds)]

    def text() -> None:
        width = max((len(f"{s.dataset}.{s.column}") for s in found), default=0)
        for s in found:
            click.echo(f"{f'{s.dataset}.{s.column}':{width}}  {_line(s)}")
        states = Counter("passed" if s.holds else s.state for s in everything)
        counted = ", ".join(f"{count} {state}" for state, count in states.most_common())
        click.echo(f"{len(everything)} columns: {counted}")
        if any(not s.holds for s in everything):
            click.echo("`bqx features check --dataset ...` makes certificates")

    emit([s.as_dict() for s in found], as_json, text)


def _line(standing: Standing) -> str:
    from bqx.build.certificate import when_text

    mine = standing.certificate
    if mine is None:
        return standing.state
    error = "" if mine.max_error is None else f", largest error {mine.max_error:.1e}"
    bars = f"{'SIMULATED ' if mine.simulated else ''}bars {mine.data_hash[:8]} of {', '.join(mine.pairs)}"
    why = f"; {mine.reasons[0]}" if mine.reasons else ""
    return (
        f"{standing.state}: {len(mine.passed)} checks passed, {len(mine.failed)} failed, {len(mine.short)} short of "
        f"values{error}; {when_text(mine)}, {bars}, {mine.first[:10]} to {mine.last[:10]}, "
        f"version {mine.version}{why}"
    )

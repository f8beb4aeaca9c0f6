"""`bqx store upgrade`, `adopt` and `copy`: tables in PostgreSQL, and the way in and out of them."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bqx.cli.common import App, dry_run_option, emit, json_option

if TYPE_CHECKING:
    from bqx.base.config import Config

_EVERY = 25


@click.command()
@click.option("--dataset", "datasets", multiple=True, help="Only these datasets; may be repeated.")
@click.option("--from", "first", metavar="YYYY_MM", default=None, help="First month of partitions; that of the bars.")
@click.option("--to", "last", metavar="YYYY_MM", default=None, help="Last month; that of the bars and --ahead more.")
@click.option("--ahead", type=click.IntRange(0, 120), default=1, show_default=True, help="Months after the last bar.")
@click.option("--reader", default=None, metavar="ROLE", help="A role that may read.")
@click.option("--writer", default=None, metavar="ROLE", help="A role that may build, but make no table.")
@dry_run_option
@json_option
@click.pass_obj
def upgrade(
    app: App,
    datasets: tuple[str, ...],
    first: str | None,
    last: str | None,
    ahead: int,
    reader: str | None,
    writer: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make or bring up to date the tables of a project in PostgreSQL. Run it as their owner, and again after a new
    bqx or when months are added; --dry-run prints the statements. Nothing else makes tables."""
    from bqx.build.server_tables import wanted_tables
    from bqx.build.stores import project_config, server
    from bqx.store.partition import PartitionKey
    from bqx.store.pg.measure import footprint
    from bqx.store.pg.upgrade import upgrade as apply

    config = project_config(app.project_path, {})
    _on_server(config)
    sessions, layout = server(config)
    wanted = wanted_tables(
        config.project.pairs,
        _spans(app),
        only=datasets,
        extensions=config.features.extensions,
        first=first,
        last=last,
        ahead=ahead,
        reader=reader,
        writer=writer,
    )
    began = time.perf_counter()
    done = apply(sessions, layout, wanted, dry_run=dry_run, progress=None if as_json else _progress)
    seconds = time.perf_counter() - began
    if dry_run and not as_json:
        click.echo("".join(f"{statement};\n" for statement in done.statements), nl=False)
    verb = "would make" if dry_run else "made"
    months = f"{wanted.months[0]} to {wanted.months[-1]}" if wanted.months else "no month: import bars, or give --from"
    text = f"{verb} {done.relations} tables in {len(done.steps)} steps, {seconds:.1f} s; partitions for {months}"
    data = {**asdict(done), "seconds": round(seconds, 3)}
    if wanted.months and not dry_run:
        key = PartitionKey(next(iter(wanted.columns)), wanted.pairs[0], wanted.months[0])
        found = footprint(sessions, layout, key)
        data |= asdict(found)
        text += (
            f"\n{found.relations} relations, catalogue {found.catalogue_bytes / 1e6:.0f} MB; planning one pair's month:"
            f" {found.warm_ms:.2f} ms, {found.cold_ms:.1f} ms in a new session"
        )
    emit(data, as_json, f"-- {text}" if dry_run else text)


@click.command()
@click.option("--schema", default=None, help="Look in this schema and bring over what fits; leave the rest there.")
@click.option("--release", "released", multiple=True, metavar="PARTITION", help="Undo the adoption of a partition.")
@click.option("--reader", "roles", multiple=True, metavar="ROLE", help="A role that may read what is attached.")
@dry_run_option
@json_option
@click.pass_obj
def adopt(
    app: App, schema: str | None, released: tuple[str, ...], roles: tuple[str, ...], dry_run: bool, as_json: bool
) -> None:
    """Attach tables that were there before bqx and have the registry's columns; move all others aside.

    Rows of adopted tables are read, never written. What moves aside is in schema {namespace}_legacy, untouched.
    """
    from bqx.base.errors import UsageError
    from bqx.build.lease import Lease
    from bqx.build.server_tables import declared_schema
    from bqx.store.partition import PartitionKey
    from bqx.store.pg.adopt import adopt as take
    from bqx.store.pg.adopt import release
    from bqx.store.pg.manifest import PgManifest

    project = app.open()
    _on_server(project.config)
    assert isinstance(project.manifest, PgManifest)
    if released:
        if dry_run:
            raise UsageError("--release has no dry run", fix="it does what it is told, for the partitions named")
        with Lease(project.manifest, app.run_id):
            names = release(project.manifest, [PartitionKey.parse(name) for name in released])
        emit({"released": names}, as_json, f"released {len(names)} partitions; their tables are in the legacy schema")
        return
    columns = {name: declared_schema(name) for name in project.catalogue}
    if dry_run:
        done = take(project.manifest, columns, schema=schema, dry_run=True)
    else:
        with Lease(project.manifest, app.run_id):
            done = take(project.manifest, columns, schema=schema, roles=roles)
    moved = "left alone" if schema else "moved aside"
    verb = "would: " if dry_run else ""
    lines = [f"{verb}attached {len(done.attached)}, {moved} {len(done.aside)}, empty partitions {len(done.shells)}"]
    lines += [f"  {name}: {why}" for name, why in list(done.aside.items())[:_EVERY]]
    lines += [f"  and {len(done.aside) - _EVERY} more, see --json"] if len(done.aside) > _EVERY else []
    emit(asdict(done), as_json, "\n".join(lines))


@click.command()
@click.argument("source", type=click.Path(path_type=Path, file_okay=False), required=False)
@dry_run_option
@json_option
@click.pass_obj
def copy(app: App, source: Path | None, dry_run: bool, as_json: bool) -> None:
    """Copy the partitions of project SOURCE into this one; each is compared by its content hash.

    Without SOURCE: from this folder's other store, the lake for a project that is in PostgreSQL now, and the other way
    round. Bars are taken along when this project has none. Only current generations; run again it goes on.
    """
    from bqx.build.copying import copy_into
    from bqx.build.lease import Lease

    project = app.open()
    shown = None if as_json else _progress
    if dry_run:
        done = copy_into(project, source, dry_run=True, progress=shown)
    else:
        with Lease(project.manifest, app.run_id):
            done = copy_into(project, source, progress=shown)
    verb = "would copy" if dry_run else "copied"
    bars = f", bars of {done.bars} months" if done.bars else ""
    text = f"{verb} {len(done.copied)} partitions, {done.rows} rows{bars}; {len(done.same)} were there"
    emit(asdict(done), as_json, text if dry_run else f"{text}; content hashes equal")


def _on_server(config: Config) -> None:
    from bqx.base.errors import Unsupported

    if not config.store.on_server:
        raise Unsupported(
            "this project is a lake of files, which needs no tables",
            where="store.kind",
            fix='set kind = "postgres" and server in [store] of bqx.toml, see docs/postgres.md',
        )


def _spans(app: App) -> list[tuple[int, int]]:
    """First and last minute of each pair's bars; none before the manifest has been made."""
    from bqx.base.errors import TablesError

    try:
        return list(app.open().bars.spans().values())
    except TablesError:
        return []


def _progress(number: int, total: int, what: str) -> None:
    if number % _EVERY == 0 and total > _EVERY:
        print(f"{number} of {total}: {what}", file=sys.stderr)

"""`bqx store`: collect garbage, drop, compact; tables in PostgreSQL, and copies between stores."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bqx.cli.common import App, dry_run_option, emit, json_option, yes_option
from bqx.cli.store_server import adopt, copy, upgrade

if TYPE_CHECKING:
    from bqx.build.project import Project
    from bqx.store.contract import PartitionInfo
    from bqx.store.partition import PartitionKey


@click.group()
def store() -> None:
    """Retention, tables in PostgreSQL, copies between stores. See docs/store.md and docs/postgres.md."""


@store.command()
@click.option("--keep", type=click.IntRange(min=0), default=None, help="Superseded generations to keep a partition.")
@dry_run_option
@json_option
@click.pass_obj
def gc(app: App, keep: int | None, dry_run: bool, as_json: bool) -> None:
    """Remove superseded generations and files that nothing refers to."""
    from bqx.build.lease import Lease

    project = app.open()
    kept = int(project.config.store.keep_generations) if keep is None else keep
    if dry_run:
        done = project.store.gc(keep_generations=kept, dry_run=True)
    else:
        with Lease(project.manifest, app.run_id):
            done = project.store.gc(keep_generations=kept, min_age_s=0.0)
    verb = "would free" if dry_run else "freed"
    young = f"; {done.young} young files of a live run left alone" if done.young else ""
    text = f"{verb} {_size(done.bytes)}: {done.generations} generations, {len(done.files)} files{young}"
    emit({**asdict(done), "keep_generations": kept}, as_json, text)


@store.command()
@click.option("--dataset", "datasets", multiple=True, help="Only these datasets; may be repeated.")
@click.option("--pair", "pairs", multiple=True, help="Only these pairs; may be repeated.")
@click.option("--month", "months", multiple=True, help="Only these months (yyyy_mm); may be repeated.")
@click.option("--partition", "names", multiple=True, help="Partitions by name; may be repeated.")
@dry_run_option
@yes_option
@json_option
@click.pass_obj
def drop(
    app: App,
    datasets: tuple[str, ...],
    pairs: tuple[str, ...],
    months: tuple[str, ...],
    names: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Retire partitions. Their files stay, and --as-of still reads them, until `bqx store gc`."""
    from bqx.base.errors import UsageError
    from bqx.build.lease import Lease

    if not (datasets or pairs or months or names):
        raise UsageError("nothing was named to drop", fix="choose by --dataset, --pair, --month or --partition")
    project = app.open()
    keys = _keys(names) or [info.key for info in _chosen(project, datasets, pairs, months)]
    found = project.store.drop(keys, dry_run=True)
    if not dry_run and not yes:
        raise UsageError(
            f"{len(found)} partitions would be dropped, first {found[0].name if found else 'none'}",
            fix="look with --dry-run, then say --yes",
        )
    if not dry_run:
        with Lease(project.manifest, app.run_id):
            project.store.drop(keys)
    data = {"dropped": [info.name for info in found], "rows": sum(info.rows for info in found), "dry_run": dry_run}
    verb = "would drop" if dry_run else "dropped"
    emit(data, as_json, f"{verb} {len(found)} partitions, {data['rows']} rows; `bqx store gc` frees their files")


@store.command()
@click.option("--dataset", default=None, help="Only this dataset.")
@dry_run_option
@json_option
@click.pass_obj
def compact(app: App, dataset: str | None, dry_run: bool, as_json: bool) -> None:
    """Fold appended tails into month files; reads give the same before and after."""
    from bqx.build.lease import Lease

    project = app.open()
    if dry_run:
        done = project.store.compact(dataset, dry_run=True)
    else:
        with Lease(project.manifest, app.run_id):
            done = project.store.compact(dataset)
    verb = "would fold" if dry_run else "folded"
    text = f"{verb} {done.pieces} pieces of {len(done.partitions)} partitions"
    emit(asdict(done), as_json, text)


for _command in (upgrade, adopt, copy):
    store.add_command(_command)


def _keys(names: tuple[str, ...]) -> list[PartitionKey]:
    from bqx.store.partition import PartitionKey

    return [PartitionKey.parse(name) for name in names]


def _chosen(
    project: Project, datasets: tuple[str, ...], pairs: tuple[str, ...], months: tuple[str, ...]
) -> list[PartitionInfo]:
    return [
        info
        for info in project.store.partitions()
        if (not datasets or info.key.dataset in datasets)
        and (not pairs or info.key.pair in pairs)
        and (not months or info.key.ym in months)
    ]


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"

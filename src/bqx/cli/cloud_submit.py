"""`bqx cloud submit`: processing, training, tuning, registry, release, features."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bqx.cli.common import App, dry_run_option, emit, json_option

if TYPE_CHECKING:
    from bqx.build.project import Project
    from bqx.ops.cloud.cloud import Cloud
    from bqx.ops.cloud.jobs.run import Result


def _name(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """It becomes part of names and folders."""
    from bqx.base.errors import UsageError

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value):
        raise UsageError(f"{value!r} is no name", fix="1 to 64 letters, digits, and . _ - after the first")
    return value


run_option = click.option(
    "--run", required=True, callback=_name, help="Name of the run; the same name goes on with its jobs."
)
dataset_option = click.option(
    "--dataset", default="container", show_default=True, callback=_name, help="Name of the dataset."
)
pairs_option = click.option("--pairs", metavar="A,B", help="Only these pairs.")
set_option = click.option(
    "--set", "settings", metavar="NAME=VALUE", multiple=True, help="A hyperparameter; may repeat."
)
no_wait_option = click.option(
    "--no-wait", is_flag=True, help="Return when all are begun; the same command waits later."
)


@click.group()
def submit() -> None:
    """Send work: jobs run side by side, failed ones get new attempts where that can help, a kill loses nothing."""


@contextmanager
def _opened(app: App) -> Iterator[tuple[Project, Cloud]]:
    from bqx.ops.cloud.cloud import Cloud

    with closing(app.open()) as project:
        yield project, Cloud.of(project)


@submit.command()
@dataset_option
@click.option(
    "--bars",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder whose files of bars are uploaded first; those that are there already are not.",
)
@click.option("--arg", "more", multiple=True, help="Further argument of the container's `processing`; may repeat.")
@no_wait_option
@dry_run_option
@json_option
@click.pass_obj
def processing(
    app: App, dataset: str, bars: Path | None, more: tuple[str, ...], no_wait: bool, dry_run: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """One job: bars in the data bucket become project, dataset and candidates there."""
    from bqx.ops.cloud.jobs import requests
    from bqx.ops.cloud.jobs.kinds import PROCESSING
    from bqx.ops.cloud.names import bucket
    from bqx.ops.cloud.packages import put

    with _opened(app) as (_, made):
        if bars is not None:
            files = sorted(p for p in bars.rglob("*") if p.is_file())
            for path in files if not dry_run else ():
                _note(f"{path.relative_to(bars)} -> bars/")
                put(
                    made.aws,
                    bucket(made.aws, made.deployment.prefix, "data"),
                    f"bars/{path.relative_to(bars).as_posix()}",
                    path.read_bytes(),
                )
        asked = {"all": requests.processing(made.aws, made.deployment, dataset, more)}
        _jobs(made, PROCESSING, dataset, asked, parallel=1, retries=2, quorum=1.0, no_wait=no_wait, dry_run=dry_run,
              as_json=as_json)  # fmt: skip


@submit.command()
@dataset_option
@run_option
@pairs_option
@set_option
@click.option("--fetch", "bring", is_flag=True, help="Then bring the models to cloud/runs/RUN, every byte verified.")
@no_wait_option
@dry_run_option
@json_option
@click.pass_obj
def training(
    app: App, dataset: str, run: str, pairs: str | None, settings: tuple[str, ...], bring: bool, no_wait: bool,
    dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """A job a pair, as many at once as [training] says; exit code 9 below its quorum."""
    from bqx.ops.cloud.jobs import requests
    from bqx.ops.cloud.jobs.fetch import fetch
    from bqx.ops.cloud.jobs.kinds import TRAINING

    with _opened(app) as (project, made):
        t, more = made.deployment.training, _settings(settings)
        asked = {
            p: requests.training(made.aws, made.deployment, p, dataset, run, more) for p in _pairs(made, pairs)
        }  # fmt: skip
        done = _jobs(made, TRAINING, run, asked, parallel=t.parallel, retries=t.retries, quorum=t.quorum,
                     no_wait=no_wait, dry_run=dry_run, as_json=as_json)  # fmt: skip
        if bring and done is not None:
            fetch(made.aws, project.root, run, done.done, _note)


@submit.command()
@dataset_option
@run_option
@pairs_option
@set_option
@no_wait_option
@dry_run_option
@json_option
@click.pass_obj
def tuning(
    app: App, dataset: str, run: str, pairs: str | None, settings: tuple[str, ...], no_wait: bool, dry_run: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """A tuning job a pair, one pair after the other: its trials run side by side."""
    from bqx.ops.cloud.jobs import requests
    from bqx.ops.cloud.jobs.kinds import TUNING

    with _opened(app) as (_, made):
        more = _settings(settings)
        asked = {p: requests.tuning(made.aws, made.deployment, p, dataset, run, more) for p in _pairs(made, pairs)}
        _jobs(made, TUNING, run, asked, parallel=1, retries=1, quorum=1.0, no_wait=no_wait, dry_run=dry_run,
              as_json=as_json)  # fmt: skip


@submit.command()
@dry_run_option
@json_option
@click.pass_obj
def registry(app: App, dry_run: bool, as_json: bool) -> None:
    """Every registered model as a package of its pair, approved if it has passed the gates, rejected if archived."""
    from dataclasses import asdict

    from bqx.ops.cloud.packages import APPROVAL, send_packages
    from bqx.research.registry.store import Registry

    with _opened(app) as (project, made):
        models = [m for m in Registry(project.root).models() if m.pair in made.pairs]
        if dry_run:
            rows: list[dict[str, Any]] = [{"model": m.name, "approval": APPROVAL[m.state]} for m in models]
        else:
            sent = send_packages(made.aws, made.state, made.deployment, project.root, models, _note)
            rows = [asdict(p) for p in sent]
    emit({"dry_run": dry_run, "packages": rows}, as_json, f"{len(rows)} models")


@submit.command()
@dry_run_option
@json_option
@click.pass_obj
def release(app: App, dry_run: bool, as_json: bool) -> None:
    """The models in production as one release: uploaded, and what `apply` (the first) or `shift` will serve."""
    from bqx.ops.cloud.packages import send_release
    from bqx.ops.cloud.release import choose, release_of
    from bqx.research.registry.store import Registry

    with _opened(app) as (project, made):
        research = made.deployment.endpoint.research
        chosen = choose(Registry(project.root).models(), made.pairs, research=research)
        new, serving = release_of(project.root, chosen), made.serving
        if not dry_run:
            send_release(made.aws, made.state, made.deployment, project.root, chosen.values(), new, _note)
            if serving is None:
                made.state.set("serving", new.as_dict())
            elif serving.id != new.id:
                made.state.set("candidate", new.as_dict())
    same = serving is not None and serving.id == new.id
    following = "it serves" if same else "`bqx cloud apply`" if serving is None else "`bqx cloud shift`"
    emit({"dry_run": dry_run, "release": new.as_dict(), "next": following}, as_json,
         f"release {new.id} of {len(new.models)} models; next: {following}")  # fmt: skip


@submit.command()
@click.option("--last", type=click.IntRange(1, 100_000), default=1, show_default=True, help="Newest rows of each pair.")
@dry_run_option
@json_option
@click.pass_obj
def features(app: App, last: int, dry_run: bool, as_json: bool) -> None:
    """The newest rows of built features into the feature groups."""
    from bqx.ops.cloud.feature_rows import send_rows

    with _opened(app) as (project, made):
        groups = [w for w in made.wanted() if w.kind == "feature-group"]
        if dry_run:
            count = len(groups) * last * len(made.pairs)
        else:
            count = send_rows(made.aws, project, groups, made.deployment.features.datasets, last, _note)
    emit({"dry_run": dry_run, "groups": [g.name for g in groups], "records": count}, as_json, f"{count} records")


def _jobs(
    made: Cloud, kind: Any, run: str, asked: dict[str, dict[str, Any]], *, parallel: int, retries: int, quorum: float,
    no_wait: bool, dry_run: bool, as_json: bool,
) -> Result | None:  # fmt: skip
    from bqx.ops.cloud.jobs.run import job_name, run_jobs

    if dry_run:
        names = {item: job_name(made.deployment.prefix, kind, run, item, 0) for item in asked}
        emit({"dry_run": True, "jobs": names}, as_json, "\n".join(f"{i}: {n}" for i, n in names.items()))
        return None
    done = run_jobs(made.aws, made.state, kind, run, asked, parallel=parallel, retries=retries, quorum=quorum,
                    wait=not no_wait, note=_note)  # fmt: skip
    said = f"{len(done.done)} of {len(asked)} done, {len(done.failed)} failed"
    emit({"dry_run": False, "run": run, **done.as_dict(kind)}, as_json, said)
    return done


def _pairs(made: Cloud, chosen: str | None) -> list[str]:
    from bqx.base.errors import UsageError
    from bqx.market.pairs import parse_pair

    if chosen is None:
        return list(made.pairs)
    found = [parse_pair(p).name for p in chosen.replace(",", " ").split()]
    if unknown := [p for p in found if p not in made.pairs]:
        raise UsageError(f"{unknown[0]} is no pair of this project", fix=f"it has {', '.join(made.pairs)}")
    return found


def _settings(given: tuple[str, ...]) -> dict[str, str]:
    from bqx.base.errors import UsageError

    out = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"{item!r} is not NAME=VALUE")
        out[name.strip()] = value.strip()
    return out


def _note(text: str) -> None:
    click.echo(text, err=True)

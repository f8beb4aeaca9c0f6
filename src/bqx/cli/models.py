"""`bqx models`: keys, add, list, show, gates, promote, archive, restore, compare, users, evidence, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bqx.cli.common import App, dry_run_option, emit, json_option
from bqx.cli.models_evidence import evidence
from bqx.cli.models_evidence_runbooks import runbooks

if TYPE_CHECKING:
    from bqx.research.registry.gates import Gate
    from bqx.research.registry.model import Model

by_option = click.option("--by", "who", required=True, help="Who answers for it.")
reason_option = click.option("--reason", required=True, help="Why.")


@click.group()
def models() -> None:
    """The registry: what was trained, which gates it has passed, what serves a pair."""


@models.command()
@click.option("--comment", default="this project", show_default=True, help="Whose key it is.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File for the private key (mode 0600).")
@click.option("--trust", "public", help="Trust this public key instead of making a pair.")
@click.pass_obj
def keys(app: App, comment: str, out: Path | None, public: str | None) -> None:
    """Make a key pair for signing artefacts, or trust somebody's public key.

    The private key goes to your secrets provider under the name that is printed; the public one is trusted here.
    """
    import os

    from bqx.base.errors import UsageError
    from bqx.research.artefact import SIGNING_KEY, make_key, trust

    project = app.open()
    if public is not None:
        trust(project.root, public, comment)
        click.echo(f"trusted: {public[:12]}... ({comment})")
        return
    if out is None:
        raise UsageError("a private key needs a file", fix="--out FILE, then hand it to your secrets provider")
    private, made = make_key()
    handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        stream.write(private.reveal() + "\n")
    trust(project.root, made, comment)
    click.echo(f"private key: {out}; store it as {SIGNING_KEY} at your secrets provider, then remove the file")
    click.echo(f"public key, trusted in models/trusted.keys: {made}")


@models.command()
@click.argument("run")
@click.option("--pairs", metavar="A,B", help="Only these pairs.")
@json_option
@click.pass_obj
def add(app: App, run: str, pairs: str | None, as_json: bool) -> None:
    """Register the models of a finished run as pending."""
    from bqx.market.pairs import parse_pair
    from bqx.research.registry.promote import add_run
    from bqx.research.registry.store import Registry
    from bqx.research.training.folder import open_run

    project = app.open()
    chosen = [parse_pair(p).name for p in pairs.replace(",", " ").split()] if pairs else None
    made = add_run(Registry(project.root), open_run(project, run), chosen)
    emit([m.as_dict() for m in made], as_json, lambda: _lines(made))


@models.command("list")
@click.option("--pair", help="Only this pair.")
@click.option("--state", type=click.Choice(["pending", "approved", "production", "archived"]), help="Only in it.")
@json_option
@click.pass_obj
def list_(app: App, pair: str | None, state: Any, as_json: bool) -> None:
    """One line a model."""
    from bqx.market.pairs import parse_pair
    from bqx.research.registry.store import Registry

    found = Registry(app.open().root).models(parse_pair(pair).name if pair else None, state)
    emit([m.as_dict() for m in found], as_json, lambda: _lines(found))


@models.command()
@click.argument("name")
@json_option
@click.pass_obj
def show(app: App, name: str, as_json: bool) -> None:
    """A model (PAIR or PAIR:VERSION) with every gate and its evidence, and where it comes from."""
    from bqx.research.registry.evidence import Evidence
    from bqx.research.registry.gates import judge
    from bqx.research.registry.lineage import lineage
    from bqx.research.registry.store import Registry

    registry = Registry(app.open().root)
    model = registry.model(name)
    gates, made = judge(Evidence(registry, model)), lineage(registry, model)
    data = {**model.as_dict(), "gates": [g.as_dict() for g in gates], "lineage": made,
            "changes": registry.changes(model)}  # fmt: skip

    def text() -> None:
        _lines([model])
        _gates(gates)
        click.echo(
            f"{len(made['columns'])} columns of {len(made['datasets'])} feature datasets, {made['lagged']} lagged"
        )
        click.echo(f"dataset {made['dataset']['name']} ({made['dataset']['hash']}), {len(made['sources'])} partitions")
        for c in registry.changes(model):
            click.echo(f"{c['at'][:16]}  {c['before']} -> {c['after']} by {c['who']}: {c['reason']}")

    emit(data, as_json, text)


@models.command()
@click.argument("name")
@by_option
@reason_option
@dry_run_option
@json_option
@click.pass_obj
def promote(app: App, name: str, who: str, reason: str, dry_run: bool, as_json: bool) -> None:
    """One step up: pending to approved by GATE1-6, approved to production by all eight; exits 5 when one blocks."""
    from bqx.research.registry.promote import promote as rise
    from bqx.research.registry.store import Registry

    registry = Registry(app.open().root)
    model, gates = rise(registry, registry.model(name), who=who, reason=reason, dry_run=dry_run)

    def text() -> None:
        _gates(gates)
        click.echo(f"{model.name} would rise" if dry_run else f"{model.name} is {model.state}")

    emit({**model.as_dict(), "dry_run": dry_run, "gates": [g.as_dict() for g in gates]}, as_json, text)


@models.command()
@click.argument("name")
@by_option
@reason_option
@click.pass_obj
def archive(app: App, name: str, who: str, reason: str) -> None:
    """Take a model out; its pair is served HOLD until another one rises."""
    from bqx.research.registry.promote import archive as retire
    from bqx.research.registry.store import Registry

    registry = Registry(app.open().root)
    _lines([retire(registry, registry.model(name), who=who, reason=reason)])


@models.command()
@click.argument("name")
@by_option
@reason_option
@click.pass_obj
def restore(app: App, name: str, who: str, reason: str) -> None:
    """Roll back to a model that served its pair before."""
    from bqx.research.registry.promote import restore as back
    from bqx.research.registry.store import Registry

    registry = Registry(app.open().root)
    _lines([back(registry, registry.model(name), who=who, reason=reason)])


@models.command()
@click.argument("first")
@click.argument("second")
@json_option
@click.pass_obj
def compare(app: App, first: str, second: str, as_json: bool) -> None:
    """Two models of a pair (PAIR:VERSION), or two runs, on the rows both have forecast."""
    from bqx.research.registry.comparison import compare as both
    from bqx.research.registry.store import Registry
    from bqx.research.training.folder import open_run

    project = app.open()
    pairs = None
    names = [first, second]
    if ":" in first and ":" in second:
        registry = Registry(project.root)
        chosen = [registry.model(n) for n in names]
        names = [m.run for m in chosen]
        pairs = sorted({m.pair for m in chosen})
    found = both(open_run(project, names[0]), open_run(project, names[1]), pairs)

    def text() -> None:
        for c in found:
            click.echo(f"{c.pair:7} h={c.horizon:<3} {c.target}  {c.rows:8,} rows  gain {100 * c.gain:+.2f} %  "
                       f"p {c.p_better:.3f}  {c.verdict}")  # fmt: skip

    emit([c.as_dict() for c in found], as_json, text)


@models.command()
@click.argument("column")
@json_option
@click.pass_obj
def users(app: App, column: str, as_json: bool) -> None:
    """Models that take a feature column (DATASET.COLUMN) or a lag of it."""
    from bqx.features.catalogue import column as known
    from bqx.research.registry.lineage import users as takers
    from bqx.research.registry.store import Registry

    home, item = known(column)
    found = takers(Registry(app.open().root), f"{home.name}.{item.name}")
    emit([m.as_dict() for m in found], as_json, lambda: _lines(found))


@models.command()
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder; else reports/ of the project.")
@json_option
@click.pass_obj
def report(app: App, name: str, out: Path | None, as_json: bool) -> None:
    """The page of a model, as HTML, Markdown and JSON."""
    from bqx.research.registry.report import model_report
    from bqx.research.registry.store import Registry

    root = app.open().root
    registry = Registry(root)
    model = registry.model(name)
    paths = model_report(registry, model).write(out or root / "reports", f"model-{model.pair}-{model.version}")
    emit([str(p) for p in paths], as_json, f"report: {paths[0]}")


def _lines(found: list[Model]) -> None:
    for m in found:
        mark = "  SIMULATED" if m.simulated else ""
        hold = "  research: HOLD" if m.research else ""
        click.echo(f"{m.name:12} {m.state:11} run {m.run:16} {m.digest[:12]}  {m.registered_at[:16]}{hold}{mark}")
    if not found:
        click.echo("no models; `bqx models add RUN` registers those of a finished run")


def _gates(gates: list[Gate]) -> None:
    for g in gates:
        click.echo(f"{g.name} {g.title:12} {g.verdict:12} {g.reason}")
        if not g.passed:
            click.echo(f"{'':31} evidence from {g.source}")


evidence.add_command(runbooks)
models.add_command(evidence)

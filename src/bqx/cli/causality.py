"""`bqx causality`: run, list, report."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bqx.base.errors import UsageError
from bqx.cli.common import App, dry_run_option, emit, json_option

if TYPE_CHECKING:
    from bqx.build.project import Project
    from bqx.research.causality.links import Link
    from bqx.research.causality.run import Causality
    from bqx.research.causality.settings import Settings


@click.group()
def causality() -> None:
    """Which pair's or feature's past helps to forecast which pair, with the price of asking so often."""


@causality.command()
@click.option("--series", "kinds", multiple=True, help="return_1, return_5 (default), return_15, bqx_15 ... bqx_75.")
@click.option("--method", "methods", multiple=True, help="granger, te; both by default.")
@click.option("--pairs", metavar="A,B", help="Only these pairs; all of the project's by default.")
@click.option(
    "--feature",
    "features",
    multiple=True,
    metavar="DATASET[.COLUMN]",
    help="Also ask of this feature, or of a dataset's.",
)
@click.option("--from", "first", metavar="TIME", help="First minute, ISO; else the first of the bars.")
@click.option("--to", "last", metavar="TIME", help="Minute after the last, ISO.")
@click.option("--q", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.05, show_default=True,
              help="False discovery rate over the whole family.")  # fmt: skip
@click.option("--max-order", type=click.IntRange(1, 60), default=30, show_default=True, help="Most lags.")
@click.option("--budget", type=click.FloatRange(0, min_open=True), default=1800.0, show_default=True,
              help="Core seconds of transfer entropy, counted at a set speed.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--workers", type=click.IntRange(1, 1024), default=None, help="Threads [default: all cores].")
@dry_run_option
@json_option
@click.pass_obj
def run(
    app: App,
    kinds: tuple[str, ...],
    methods: tuple[str, ...],
    pairs: str | None,
    features: tuple[str, ...],
    first: str | None,
    last: str | None,
    q: float,
    max_order: int,
    budget: float,
    seed: int,
    workers: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Ask all directed pairs, and features if told. Interrupted, run it again and it goes on where it stopped.

    A run is named by what it asks and by the bars as they are known now; asked again it shows the same table.
    """
    import os

    from bqx.base.runlog import current_run
    from bqx.market.pairs import parse_pair
    from bqx.research.causality import kept
    from bqx.research.causality.run import run as run_causality
    from bqx.research.causality.settings import METHODS, Settings

    with closing(app.open()) as project:
        chosen = sorted({parse_pair(p).name for p in pairs.replace(",", " ").split()}) if pairs else project.pairs
        known_at = project.snapshot()
        start, end = _span(project, chosen, first, last, known_at)
        settings = Settings(
            pairs=tuple(chosen), start=start, end=end, kinds=kinds or ("return_5",), methods=methods or METHODS,
            features=_columns(project, features), q=q, max_order=max_order,
            budget=budget, seed=seed, known_at=known_at,
        )  # fmt: skip
        if dry_run:
            _plan(settings, as_json)
            return
        folder = kept.begin(project.root, settings, current_run().run_id)
        if (folder / kept.DONE).is_file():
            found = kept.load(project.root, settings.digest)
        else:
            found = run_causality(project, settings, workers=workers or os.cpu_count() or 1, tell=_teller(app.log_json))
            kept.finish(folder, found)
    emit(found.as_dict(), as_json, lambda: _show(found))


@causality.command("list")
@json_option
@click.pass_obj
def list_(app: App, as_json: bool) -> None:
    """One line a run, finished or not."""
    from bqx.research.causality.kept import listing

    with closing(app.open()) as project:
        rows = listing(project.root)

    def text() -> None:
        for row in rows:
            state = (
                f"{row['kept']} links of {row['questions']:,} questions" if row["finished"] else f"{row['parts']} parts"
            )
            asked = f"{', '.join(row['methods'])} on {', '.join(row['series'])}, {row['pairs']} pairs"
            click.echo(f"{row['digest']}  {asked}: {state}{'' if row['finished'] else ', not finished'}")
        if not rows:
            click.echo("no causality runs yet: `bqx causality run`")

    emit(rows, as_json, text)


@causality.command()
@click.argument("name", required=False)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder [default: reports of the project]."
)
@json_option
@click.pass_obj
def report(app: App, name: str | None, out: Path | None, as_json: bool) -> None:
    """Write a finished run as Markdown, HTML and JSON; NAME is the beginning of its digest, else the latest."""
    from bqx.research.causality.kept import load
    from bqx.research.causality.page import causality_report

    with closing(app.open()) as project:
        found = load(project.root, name)
        page = causality_report(found, f"Causality lab of {project.config.project.name}")
        folder = out or project.root / "reports"
        paths = page.write(folder, f"causality-{found.settings.digest}")
    data = {"digest": found.settings.digest, "kept": len(found.kept), "files": [str(p) for p in paths]}
    emit(data, as_json, "\n".join(str(p) for p in paths))


def _columns(project: Project, features: tuple[str, ...]) -> tuple[str, ...]:
    """`dataset.column` of each; a dataset stands for all its columns."""
    out = set()
    for name in features:
        if name in project.catalogue:
            out |= {f"{name}.{column.name}" for column in project.catalogue[name].columns}
        else:
            out.add(".".join(project.resolve_column(name)))
    return tuple(sorted(out))


def _span(project: Project, pairs: Any, first: str | None, last: str | None, known_at: int | None) -> tuple[int, int]:
    """From the first to the last bar that any of the pairs has, unless told."""
    from bqx.base.errors import CausalityError

    spans = [span for pair, span in project.bars.spans(known_at).items() if pair in pairs]
    if not spans:
        raise CausalityError("none of the pairs has bars", fix="`bqx bars import`, `fetch` or `simulate` first")
    start = min(s for s, _ in spans) if first is None else _minute(first)
    end = max(e for _, e in spans) + 1 if last is None else _minute(last)
    return start, end


def _minute(text: str) -> int:
    from datetime import datetime

    from bqx.market.calendar import minute_of

    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is not an ISO time", fix="such as 2024-07-01T00:00Z") from None
    if when.tzinfo is None:
        raise UsageError(f"{text!r} has no time zone", fix=f"give {text}T00:00Z, or with its offset")
    return minute_of(when)


def _plan(s: Settings, as_json: bool) -> None:
    """What would be asked."""
    count = len(s.kinds) * len(s.methods) * len(s.pairs) * (len(s.pairs) - 1 + len(s.features))
    te = f", transfer entropy within {s.budget:g} core seconds" if "te" in s.methods else ""
    text = f"run {s.digest}: {count:,} questions in one family, {', '.join(s.methods)} on {', '.join(s.kinds)}{te}"
    emit({"digest": s.digest, "questions": count, "settings": s.as_dict()}, as_json, text)


def _teller(log_json: bool) -> Any:
    """A line on stderr every few seconds, events for machines."""
    import time

    from bqx.base.runlog import event
    from bqx.build.progress import EVERY_SECONDS

    shown = [time.monotonic()]

    def tell(name: str, done: int, total: int) -> None:
        event("causality.part", part=name, done=done, total=total)
        if not log_json and time.monotonic() - shown[0] >= EVERY_SECONDS:
            shown[0] = time.monotonic()
            click.echo(f"{name}: {done} of {total} parts of this round", err=True)

    return tell


def _show(found: Causality) -> None:
    from bqx.research.causality.page import verdict

    for link in found.kept:
        click.echo(_line(link))
    click.echo(verdict(found) + (" (SIMULATED bars)" if found.simulated else ""))
    click.echo(f"run {found.settings.digest}; `bqx causality report` writes the page")


def _line(link: Link) -> str:
    sign = "+" if (link.sign or 0) > 0 else "-"
    return (
        f"{link.method:8} {link.series:10} {link.source} -> {link.target}  lag {link.lag} {sign}  p {link.p:.2g}, "
        f"q {link.q_by:.2g}, {link.confirmed} of {link.folds} folds"
    )

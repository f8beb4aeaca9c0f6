"""`bqx evaluate`: what a training run's forecasts are worth."""

from __future__ import annotations

from pathlib import Path

import click

from bqx.cli.common import App, emit, json_option


@click.command()
@click.argument("run")
@click.option("--pairs", metavar="A,B", help="Only these pairs; then nothing is written into the run.")
@click.option("--horizons", metavar="15,60", help="Only these horizons; then nothing is written into the run.")
@click.option("--against", metavar="A,B", help="Other runs to compare with on their common rows, such as a ridge.")
@click.option("--draws", type=click.IntRange(200), default=2000, show_default=True, help="Resamples of the intervals.")
@click.option("--seed", type=click.IntRange(0), default=0)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder of the report; else reports/.")
@json_option
@click.pass_obj
def evaluate(
    app: App,
    run: str,
    pairs: str | None,
    horizons: str | None,
    against: str | None,
    draws: int,
    seed: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Measure a run: skill with its interval and what noise gets, tests, calibration, coverage; write the report.

    Exits 5 when the run is quarantined, or turns out too good to be true, and nobody has signed.
    """
    from bqx.base.errors import QuarantinedError, UsageError
    from bqx.market.pairs import parse_pair
    from bqx.research.evaluation.evaluate import evaluate as judge
    from bqx.research.evaluation.report import evaluation_report
    from bqx.research.training.folder import open_run

    project = app.open()
    found_run = open_run(project, run)
    hours = _words(horizons)
    if not all(h.isdigit() for h in hours):
        raise UsageError(f"--horizons {horizons!r} is not a list of bars", fix="for example --horizons 15,60")
    found = judge(
        project.root,
        found_run,
        calendar=project.calendar,
        pairs=[parse_pair(p).name for p in _words(pairs)] or None,
        horizons=[int(h) for h in hours] or None,
        against=[open_run(project, name) for name in _words(against)],
        seed=seed,
        draws=draws,
        note=lambda line: click.echo(line, err=True),
    )
    paths = evaluation_report(found).write(out or project.root / "reports", f"evaluation-{run}")

    def text() -> None:
        click.secho(found.verdict, bold=True)
        for target in found.targets.values():
            for part in [target.pooled, *target.parts["horizon"]]:
                w = part.walk
                click.echo(
                    f"  {target.target} {part.part:12} skill {100 * w.skill:6.2f} % ({100 * w.low:.2f} to "
                    f"{100 * w.high:.2f}), noise to {100 * part.noise.high:.2f} %, {part.verdict}"
                )
        click.echo(f"report: {paths[0]}")

    emit({**found.as_dict(), "report": [str(p) for p in paths]}, as_json, text)
    if found.quarantined:
        raise QuarantinedError(f"run {run} is too good to be true: {found.too_good[0]}", where=str(found_run.folder))


def _words(text: str | None) -> list[str]:
    return (text or "").replace(",", " ").split()

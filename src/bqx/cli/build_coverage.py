"""`bqx build coverage`: how much of the features is there, and why the rest is NULL."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from bqx.cli.common import App, emit, json_option


@click.command()
@click.option("--dataset", "datasets", multiple=True, help="Only these datasets; up to four are shown by column.")
@click.option("--pair", "pairs", multiple=True, help="Only these pairs.")
@click.option("--month", "months", multiple=True, metavar="YYYY_MM", help="Only this month; twice: from the first on.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with heat maps.")
@json_option
@click.pass_obj
def coverage(
    app: App,
    datasets: tuple[str, ...],
    pairs: tuple[str, ...],
    months: tuple[str, ...],
    html: Path | None,
    as_json: bool,
) -> None:
    """Share of NULL and its reasons: warm-up, closure, baseline, capability, gap, undefined.

    What is present is what the manifest counts; the reasons follow from calendar, bars and declarations, and add up.
    """
    from bqx.base.atomic import write_text
    from bqx.build.choice import Choice
    from bqx.build.coverage import project_coverage
    from bqx.build.coverage_page import DETAILED, coverage_report
    from bqx.build.coverage_table import null_lines, per_cent

    with closing(app.open()) as project:
        choice = Choice.parse(
            project.resolve_column,
            pairs=",".join(pairs) or None,
            datasets=",".join(datasets) or None,
            first=min(months, default=None),
            last=max(months, default=None),
        )
        found = project_coverage(project, choice)
        title = f"Coverage of {project.config.project.name}"
    if html is not None:
        write_text(html, coverage_report(found, title).html())

    def text() -> None:
        names = found.cells["dataset"].n_unique()
        for line in null_lines(found.by("dataset", "column") if names <= DETAILED else found.by("dataset")):
            click.echo(line)
        total = found.total
        label = " of features of SIMULATED bars" if found.simulated else ""
        click.echo(
            f"{total['rows']:,} values{label}, {per_cent(total['rows'] - total['present'], total['rows'])} % NULL"
            + (f"; {found.skipped} stale partitions were left out" if found.skipped else "")
        )
        if html is not None:
            click.echo(f"page: {html}")

    emit(found.as_dict(), as_json, text)

"""`bqx features coverage`: each counted column belongs to exactly one stage of the plan."""

from __future__ import annotations

import click

from bqx.cli.common import emit, json_option


@click.command()
@json_option
def coverage(as_json: bool) -> None:
    """Prove that each counted column is built by exactly one stage, and that the plan's totals are those of the
    catalogue; fails (exit 5) naming the stage or column otherwise."""
    from dataclasses import asdict

    from bqx.features.catalogue import count, own_datasets
    from bqx.features.stages import GROUPS, INHERITED, by_stage

    homes = list(own_datasets().values())
    rows, sizes = by_stage(homes), count(homes)
    built = sum(r.counted for r in rows if r.stage != INHERITED)
    totals = {
        "counted": sizes["counted"],
        "built_by_stages": built,
        "inherited": sizes["inherited"],
        "laggable": sizes["laggable"],
        "candidates": sizes["counted"] + 4 * sizes["laggable"],
        "groups": dict(GROUPS),
    }

    def text() -> None:
        click.echo("stage   planned  counted  auxiliary  datasets")
        for r in rows:
            click.echo(f"{r.stage:7} {r.planned:7}  {r.counted:7}  {r.auxiliary:9}  {', '.join(r.datasets)}")
        groups = " + ".join(str(n) for n in GROUPS.values())
        click.echo(
            f"{groups} = {sizes['counted']:,} counted columns, each of one stage: {built:,} built, "
            f"{sizes['inherited']} inherited; {sizes['laggable']} laggable, "
            f"{totals['candidates']:,} candidates with 4 lags"
        )

    emit({"stages": [asdict(r) for r in rows], **totals}, as_json, text)

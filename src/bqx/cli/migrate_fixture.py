"""`bqx migrate fixture`: the world before stage 1.6.9, to try a migration on."""

from __future__ import annotations

import click

from bqx.base.errors import UsageError
from bqx.cli.common import App, dry_run_option, emit, json_option
from bqx.cli.migrate_common import Progress, dsn_of, server_options


@click.command()
@click.option("--schema", default="bqx", help="Where; made when it is not there.")
@click.option(
    "--share", type=click.FloatRange(0, 1), default=0.0, help="Share of the 30,867,054 rows: 1 for all, 0 for none."
)
@click.option("--columns", type=click.IntRange(1, 500), default=1, help="Columns of float4 beside the time.")
@click.option("--more-indexes", is_flag=True, help="One index a partition beside the primary key.")
@click.option("--pairs", default=None, metavar="A,B", help="Only these pairs; all 28 unless given.")
@click.option("--jobs", type=click.IntRange(1, 16), default=2, help="Sessions at a time.")
@dry_run_option
@server_options
@json_option
@click.pass_obj
def fixture(
    app: App,
    schema: str,
    share: float,
    columns: int,
    more_indexes: bool,
    pairs: str | None,
    jobs: int,
    dry_run: bool,
    dsn: str | None,
    dsn_secret: str | None,
    as_json: bool,
) -> None:
    """Make four legacy families of 28 partitioned tables with 12 months each: 1,456 tables, keys, rows on demand.

    A schema that holds tables of these names is refused. --dry-run says how large it would be.
    """
    from bqx.market.pairs import PAIRS, parse_pair
    from bqx.store.migrate.fixture import World, build, exists, size

    chosen = PAIRS if pairs is None else tuple(parse_pair(p).name for p in pairs.split(","))
    world = World(schema=schema, pairs=chosen, share=share, columns=columns, more_indexes=more_indexes)
    expected = size(world)
    if dry_run:
        text = f"{expected['tables']:,} tables, {expected['rows']:,} rows, about {expected['bytes'] / 1e6:,.0f} MB"
        emit({**expected, "dry_run": True}, as_json, text)
        return
    where = dsn_of(app, dsn, dsn_secret)
    if (found := exists(where, world)) is not None:
        raise UsageError(f"{schema} has {found} already", fix="use another --schema, or drop what is there")
    made = build(where, world, jobs=jobs, progress=Progress(quiet=app.log_json))
    total = sum(made.rows.values())
    data = {
        "tables": made.tables, "indexes": made.indexes, "rows": dict(made.rows), "total_rows": total,
        "seconds": made.seconds, "dry_run": False,
    }  # fmt: skip
    rows = ", ".join(f"{family} {n:,}" for family, n in made.rows.items())
    emit(
        data,
        as_json,
        f"{made.tables:,} tables, {made.indexes:,} indexes, {total:,} rows ({rows}) in {made.seconds:.1f} s",
    )

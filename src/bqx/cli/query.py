"""`bqx query`: SQL over bars and features."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bqx.cli.common import App

if TYPE_CHECKING:
    import polars as pl

_SHOWN = 50


@click.command()
@click.argument("sql")
@click.option("--as-of", default=None, metavar="TIME", help="As it was known then, for example 2024-08-01T00:00:00Z.")
@click.option("--format", "form", type=click.Choice(["table", "csv", "json", "parquet"]), default=None)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--limit", type=click.IntRange(min=1), default=None, help="At most this many rows.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file.")
@click.pass_obj
def query(
    app: App, sql: str, as_of: str | None, form: str | None, as_json: bool, limit: int | None, output: Path | None
) -> None:
    """Run one SELECT over the project.

    Tables: a dataset (returns_raw_rate), a partition (returns_raw_rate_eurusd_2024_07), bars, bars_eurusd and
    partitions. Datasets and bars have a pair column. Nothing can be changed, no other file can be read.
    """
    from bqx.base.errors import UsageError

    chosen = form or ("json" if as_json else _by_suffix(output))
    if chosen == "parquet" and output is None:
        raise UsageError("Parquet cannot be printed", fix="name a file with -o")
    project = app.open(as_of=as_of)
    frame = project.sql().query(sql, as_of=as_of, limit=limit)
    if output is None:
        click.echo(_render(frame, chosen), nl=chosen != "csv")
        if chosen == "table" and project.simulated:
            click.echo("SIMULATED DATA")
        return
    _write(frame, chosen, output)
    click.echo(f"{frame.height} rows written to {output}", err=True)


def _by_suffix(output: Path | None) -> str:
    suffix = output.suffix.lstrip(".") if output else ""
    return suffix if suffix in ("csv", "json", "parquet") else "table"


def _render(frame: pl.DataFrame, form: str) -> str:
    import polars as pl

    if form == "csv":
        return frame.write_csv()
    if form == "json":
        rows = [{name: _plain(value) for name, value in row.items()} for row in frame.iter_rows(named=True)]
        return json.dumps(rows, indent=1, allow_nan=False)
    with pl.Config(
        tbl_rows=_SHOWN,
        tbl_cols=-1,
        tbl_width_chars=-1,
        fmt_str_lengths=80,
        tbl_hide_column_data_types=True,
        tbl_hide_dataframe_shape=True,
        tbl_formatting="UTF8_BORDERS_ONLY",
    ):
        more = f"\n{frame.height} rows, {_SHOWN} shown" if frame.height > _SHOWN else f"\n{frame.height} rows"
        return f"{frame}{more}"


def _plain(value: Any) -> Any:
    """What JSON can hold: times as ISO text, NaN and Inf (a query can compute them) as their names."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float | Decimal):
        value = float(value)
        return value if math.isfinite(value) else str(value)
    if hasattr(value, "isoformat"):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return str(value)


def _write(frame: pl.DataFrame, form: str, output: Path) -> None:
    from bqx.base.atomic import replacing, write_text

    if form == "parquet":
        with replacing(output) as temp:
            frame.write_parquet(temp)
    else:
        text = _render(frame, form)
        write_text(output, text if text.endswith("\n") else text + "\n")

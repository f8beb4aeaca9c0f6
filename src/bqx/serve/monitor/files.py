"""Files of forecasts as `bqx predict` leaves them: a table a pair and month, and its receipt."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from bqx.base.errors import MonitorInputError


def forecast_files(folder: Path, pair: str) -> Iterator[tuple[Path, pl.DataFrame, dict[str, Any]]]:
    """Path, table and receipt, in order of time. A table without a receipt is not finished and left out.

    Raises MonitorInputError for a file that cannot be read.
    """
    for path in sorted(folder.glob(f"{pair}_????_??.parquet")):
        receipt = path.with_name(f"{path.name}.json")
        if not receipt.is_file():
            continue
        try:
            said: dict[str, Any] = json.loads(receipt.read_text("utf-8"))
            table = pl.read_parquet(path, glob=False, memory_map=False)
        except (OSError, ValueError, pl.exceptions.PolarsError) as error:
            raise MonitorInputError(
                f"it cannot be read: {error}", where=str(path), fix="`bqx predict` again"
            ) from error
        if not table.is_empty():
            yield path, table, said

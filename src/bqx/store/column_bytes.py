"""Bytes that each column takes in feature files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb


def column_bytes(paths: Sequence[Path]) -> dict[str, int]:
    """Compressed bytes by column over Parquet files, from their footers."""
    if not paths:
        return {}
    with duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"}) as con:
        rows = con.execute(
            "SELECT path_in_schema, sum(total_compressed_size) FROM parquet_metadata(?) GROUP BY 1",
            [[str(p) for p in paths]],
        ).fetchall()
    return {str(name): int(size) for name, size in rows}

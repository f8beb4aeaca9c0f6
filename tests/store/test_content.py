"""content_hash against a second way to compute it, and what must or must not change it."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import store_tables as tables
import xxhash

from bqx.store.content import content_hash
from bqx.store.files import LocalFiles, write_table
from bqx.store.fingerprint import combine, ts_fingerprint


def by_hand(table: pl.DataFrame) -> str:
    """Pack every value with struct, one at a time."""
    codes = {"Float32": "<f", "Float64": "<d", "Int16": "<h", "Datetime(time_unit='us', time_zone='UTC')": "<q"}
    raw = f"rows={table.height}".encode()
    for column in table:
        values = column.to_physical().to_list()
        nulls = [v is None for v in values]
        raw += f"\n{column.name}:{column.dtype}:{sum(nulls)}\n".encode()
        if any(nulls):
            bits = nulls + [False] * (-len(nulls) % 8)
            for at in range(0, len(bits), 8):
                raw += bytes([sum(bit << (7 - n) for n, bit in enumerate(bits[at : at + 8]))])
        raw += b"".join(struct.pack(codes[str(column.dtype)], v or 0) for v in values)
    return xxhash.xxh3_128(raw).hexdigest()


def test_against_a_value_by_value_computation() -> None:
    table = tables.month("2024_07", rows=21)
    assert table["a"].null_count() > 0
    assert content_hash(table) == by_hand(table)


def test_pinned_value() -> None:
    """It must never change: manifests hold it."""
    table = pl.DataFrame({"a": pl.Series([1.0, None, -0.0], dtype=pl.Float32)})
    raw = b"rows=3\na:Float32:1\n" + bytes([0b01000000]) + struct.pack("<3f", 1.0, 0.0, -0.0)
    assert content_hash(table) == xxhash.xxh3_128(raw).hexdigest() == "104e43834060da39604fa509f35d3523"


def test_the_writer_does_not_matter(tmp_path: Path) -> None:
    table = tables.month("2024_07", rows=500)
    cut = pl.concat([table.head(7), table.slice(7)], rechunk=False)
    seen = {content_hash(table), content_hash(cut)}
    for codec in ("lz4", "zstd", "uncompressed"):
        written = write_table(LocalFiles(tmp_path), codec, "x", table, codec)
        seen.add(content_hash(pl.read_parquet(tmp_path / written.path)))
    assert len(seen) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.with_columns(pl.col("a").fill_null(0)),
        lambda t: t.with_columns(
            a=pl.when(pl.int_range(pl.len()) == 3).then(9.0).otherwise(pl.col("a")).cast(pl.Float32)
        ),
        lambda t: t.rename({"a": "c"}),
        lambda t: t.with_columns(pl.col("a").cast(pl.Float64)),
        lambda t: t.select("ts_utc", "b", "a", "flag"),
        lambda t: t.head(299),
    ],
)
def test_what_a_reader_can_see_changes_it(change) -> None:
    table = tables.month("2024_07")
    assert content_hash(change(table)) != content_hash(table)


_WRITE = """
import sys, pathlib
sys.path.insert(0, sys.argv[2])
import store_tables as tables
from bqx.store.files import LocalFiles, write_table
import polars as pl
table = tables.month("2024_07", rows=30000, columns=tuple(f"c{i}" for i in range(12)))
print(pl.thread_pool_size(), write_table(LocalFiles(pathlib.Path(sys.argv[1])), "x", "y", table, "lz4").file_hash)
"""


def test_the_same_bytes_with_1_and_4_threads(tmp_path: Path) -> None:
    out = []
    for threads in ("1", "4"):
        done = subprocess.run(
            [sys.executable, "-c", _WRITE, str(tmp_path / threads), str(Path(__file__).parent)],
            env={**os.environ, "POLARS_MAX_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        )
        out.append(done.stdout.split())
    assert [size for size, _ in out] == ["1", "4"]
    assert out[0][1] == out[1][1]


def test_fingerprints_add_up() -> None:
    minutes = np.arange(28_000_000, 28_030_000, dtype=np.int64)
    whole = ts_fingerprint(minutes)
    assert (
        combine([ts_fingerprint(minutes[:7]), ts_fingerprint(minutes[7:20_000]), ts_fingerprint(minutes[20_000:])])
        == whole
    )
    swapped = minutes.copy()
    swapped[5] += 1_000_000
    assert ts_fingerprint(swapped) != whole
    assert ts_fingerprint(minutes[:-1]) != whole
    # two minutes moved by opposite amounts: a plain sum would not see it
    moved = minutes.copy()
    moved[0] -= 9
    moved[-1] += 9
    assert ts_fingerprint(moved) != whole

"""Writes two partitions, one of them in parts, and commits both; for tests to kill at a fault point."""

import sys
from pathlib import Path

import store_tables as tables
from s3_store import store_on

from bqx.store.s3.files import S3Files
from s3_server import PART

DATASET = "returns_raw_rate"

if __name__ == "__main__":
    store = store_on(sys.argv[1], Path(sys.argv[2]))
    assert isinstance(store.lake.files, S3Files)
    store.lake.files.client._part = PART
    short = tables.stage(store.features, DATASET, "eurusd", "2024_07")
    many = tuple(f"c{k}" for k in range(100))
    long = tables.stage(store.features, DATASET, "gbpusd", "2024_07", rows=30_000, columns=many)
    assert 2 * PART < long.bytes < 3 * PART
    store.features.commit([short, long])

"""Small siblings of `make soak CHECK=postgres-copy` and `postgres-leaves`: the same code, and planted faults."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from benchmarks.soak.state import State

from postgres_server import WANTED

copy: Any = importlib.import_module("benchmarks.soak.postgres_copy")
leaves: Any = importlib.import_module("benchmarks.soak.postgres_leaves")


LEAST = copy.BAR / 2
"""The bar itself is held by the soak on a quiet machine; here other tests share the processors."""


def test_a_partition_is_written_at_a_quarter_of_the_speed_of_psql_or_better(results: Path) -> None:
    found = copy.postgres_copy(State.load("postgres-copy", 4, 3))
    assert all(server["processor_ratio"] >= LEAST for server in found["servers"].values()), found
    assert set(found["servers"]) == {str(major) for major in WANTED}
    for server in found["servers"].values():
        assert server["bytes"] > 28 * copy.ROWS * 8 and server["psql_ms"] > 5


def test_a_writer_that_dawdles_is_seen(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: rows go one COPY at a time, the way of writers that do not know better."""
    monkeypatch.setattr(copy, "ROWS", 3000)
    monkeypatch.setattr("bqx.store.pg.encode.BLOCK", 1)
    monkeypatch.setattr(copy.postgres_server, "WANTED", WANTED[-1:])
    found = copy.postgres_copy(State.load("postgres-copy", 4, 3))
    assert not found["ok"], found
    assert all(server["processor_ratio"] < LEAST for server in found["servers"].values()), found


def test_empty_partitions_by_one_command(results: Path) -> None:
    found = leaves.postgres_leaves(State.load("postgres-leaves", 4, 3), ("eurusd", "gbpusd"), 4)
    assert found["ok"], found
    assert found["partitions"] == found["wanted"] == 2 * 3 * 4
    assert found["relations"] == 2 * (24 + 8 + 4)  # each table with its key's index
    assert found["catalogue_bytes"] > 1e6 and found["warm_ms"] > 0


def test_partitions_that_are_missing_are_seen(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: the command leaves the last month out."""
    whole = leaves._upgrade

    made: list[dict[str, Any]] = []

    def short(root: Path, *words: str) -> dict[str, Any]:
        if not made:
            made.append(dict(whole(root, *words[:-1], "2024_02")))
        return made[0]

    monkeypatch.setattr(leaves, "_upgrade", short)
    found = leaves.postgres_leaves(State.load("postgres-leaves", 4, 3), ("eurusd",), 1)
    assert not found["ok"] and found["partitions"] == 2 < found["wanted"]

"""The small sibling of `make soak CHECK=cluster`, and the capacity page made of its figures."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks.soak.state import State

from postgres_server import WANTED

cluster: Any = importlib.import_module("benchmarks.soak.cluster")
cluster_laws: Any = importlib.import_module("benchmarks.soak.cluster_laws")
capacity: Any = importlib.import_module("benchmarks.capacity")

FIRST = {"same": True, "judged": True, "efficiency": {"threads": 0.9, "processes": 0.9}, "units": 2, "digest": "d",
         "free_cores": 2.0}  # fmt: skip
LAWS = {"call_ms_dask": 4.0, "call_ms_processes": 0.5, "commit_ms": 60.0, "put_ms": 20.0, "fetch_ms": 8.0,
        "receipt_bytes": 2000, "file_bytes": 1_600_000, "load_average": 0.5, "pairs": 28}  # fmt: skip


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two weeks of one pair and one dataset."""
    monkeypatch.setattr(cluster, "PAIRS", ("eurusd",))
    monkeypatch.setattr(cluster, "START", cluster.END - 14 * 1440)
    monkeypatch.setattr(cluster, "DATASETS", ("time_dual",))
    monkeypatch.setattr(cluster, "ENGINES", (("threads", 1),))
    monkeypatch.setattr(cluster, "LARGE", (("eurusd",), cluster.END - 7 * 1440, cluster.END))
    monkeypatch.setattr(cluster, "FAULTS", ("storage storm",))


def test_a_storm(small: None, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = cluster.cluster(State.load("cluster", 3, 1), major=WANTED[-1])
    assert found["ok"], found
    assert found["by_kind"] == {"storage storm": 1}
    laws = cluster_laws.cluster_laws(State.load("cluster-laws", 3, 1), calls=10, major=WANTED[-1])
    assert laws["ok"] and laws["laws"]["commit_ms"] > laws["laws"]["call_ms_dask"] > 0


def test_other_bytes_dishonest_progress_and_slow_workers_fail(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted faults: what each trial may show."""
    good = {"fault": "worker killed", "honest": True, "whole": True, "lost": 1, "problem": "", "digest": "d"}
    monkeypatch.setattr(cluster, "LARGE", (("eurusd",), cluster.END - 1440, cluster.END))
    monkeypatch.setattr(cluster, "running", _Nothing)
    monkeypatch.setattr(cluster, "manifest_only", lambda dsn: dsn)
    for change, first, ok in (
        ({}, {}, True),
        ({"digest": "other"}, {}, False),
        ({"honest": False}, {}, False),
        ({"whole": False}, {}, False),
        ({}, {"efficiency": {"threads": 0.9, "processes": 0.7}}, False),
        ({}, {"efficiency": {"threads": 0.9, "processes": 0.7}, "judged": False}, True),
        ({}, {"same": False}, False),
    ):
        monkeypatch.setattr(cluster, "engines", lambda *a, f=first: {**FIRST, **f})
        monkeypatch.setattr(cluster, "faulty", lambda *a, c=change: {**good, **c})
        state = State("cluster", 3, 1)
        assert cluster.cluster(state)["ok"] is ok, (change, first)


class _Nothing:
    def __init__(self, major: int) -> None:
        pass

    def __enter__(self) -> _Nothing:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def dsn(self, database: str = "") -> str:
        return ""


def test_the_capacity_page_names_what_decides(tmp_path: Path) -> None:
    assert "Not measured yet" in capacity.section(tmp_path)
    (tmp_path / "cluster-laws.json").write_text(json.dumps({"laws": LAWS, "date": "2026-11-27"}))
    datasets = [{"dataset": name, "cpu_seconds": 2.0} for name in ("correlation_rate", "time_dual")]
    month = {"together": {"cpu_seconds": 80.0}, "datasets": datasets, "pairs": 28, "date": "2026-11-27"}
    (tmp_path / "build.json").write_text(json.dumps(month))
    assert "not measured with two free cores yet" in capacity.section(tmp_path)
    (tmp_path / "cluster.json").write_text(json.dumps({"engines": FIRST}))
    laws, *_ = capacity.read_laws(tmp_path)
    assert laws.longest == 2.0 and laws.units == 2
    alone, what = laws.total(1, 240)
    assert what == "workers" and alone == pytest.approx(capacity.START_SECONDS + 240 * (80 + 2 * 28 * 0.02))
    two = laws.seconds(2, 240)
    assert two["workers"] == pytest.approx((240 * 80 / 0.9 + 240 * 56 * 0.02) / 2)
    assert two["manifest"] == pytest.approx(240 * 2 * 0.06) and two["storage"] == pytest.approx(240 * 56 / 3500)
    assert laws.seconds(100, 12)["scheduler"] == pytest.approx(12 * 10 * 0.004), "a month is cut in nine, and the panel"
    many = laws.seconds(2000, 240)
    assert max(many, key=lambda k: many[k]) == "manifest"
    text = capacity.section(tmp_path)
    assert "| 100 |" in text and "Assumed:" in text and "16.7 units of 28 partitions a second" in text


def test_the_page_is_that_of_the_results() -> None:
    assert capacity.main(["--check"]) == 0

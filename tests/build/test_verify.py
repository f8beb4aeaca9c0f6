"""Verification finds what it says it looks for; each test breaks one thing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from bqx.base.errors import CheckError
from bqx.build.choice import Choice
from bqx.build.project import Project
from bqx.build.verify import verify
from bqx.store.partition import PartitionKey
from few_datasets import FEW

pytestmark = pytest.mark.usefixtures("few_datasets")
Copy = Callable[[Path], Project]
KEY = PartitionKey("returns_raw_rate", "gbpusd", "2024_07")


def plant(project: Project, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """Replace a partition by a changed table that claims the right inputs."""
    info = next(i for i in project.store.partitions() if i.key == KEY)
    table = project.store.read(KEY.dataset, [KEY.pair], KEY.span).drop("pair").collect()
    receipt = project.store.stage(
        KEY,
        change(table),
        input_hash=info.input_hash,
        code_version=info.code_version,
        complete_through=info.complete_through,
        simulated=True,
    )
    project.store.commit([receipt])


def test_a_good_store_passes_with_every_value_counted(built: Path, copy: Copy) -> None:
    project = copy(built)
    result = verify(project, deep=True, recompute=4, seed=1)
    assert result.problems == []
    assert (result.recomputed, result.stale, result.missing) == (4, 0, 0)
    held = project.store.partitions()
    assert result.partitions == len(held)
    assert result.values == sum(i.rows * len(i.columns) for i in held)
    assert 0.6 * result.values < result.non_null < result.values
    result.demand()


def test_a_stand_in_zero_is_found_by_the_null_count(built: Path, copy: Copy) -> None:
    project = copy(built)
    plant(project, lambda t: t.with_columns(pl.col("ret_15").fill_null(0.0)))
    result = verify(project)
    assert [p["partition"] for p in result.problems] == [KEY.name]
    assert "ret_15 has" in result.problems[0]["what"]
    with pytest.raises(CheckError, match="calendar and warm-up predict"):
        result.demand()


def test_a_lost_row_is_found_by_the_calendar(built: Path, copy: Copy) -> None:
    project = copy(built)
    plant(project, lambda t: pl.concat([t[:100], t[101:]]))
    assert any("the calendar says" in p["what"] for p in verify(project).problems)


def test_a_changed_value_is_found_by_computing_again(built: Path, copy: Copy) -> None:
    project = copy(built)
    plant(project, lambda t: t.with_columns(pl.col("ret_1") * 1.0000002))
    assert verify(project, deep=True).problems == [], "counts and hashes agree with the manifest"
    choice = Choice(pairs=(KEY.pair,), datasets=(KEY.dataset,), first_month=KEY.ym)
    problems = verify(project, choice, recompute=1).problems
    assert [p["what"] for p in problems] == ["computed again, its contents differ from those stored"]


def test_a_flipped_bit_and_a_lost_file_are_found(built: Path, copy: Copy) -> None:
    project = copy(built)
    first, second = (project.root / i.pieces[0].path for i in project.store.partitions()[:2])
    raw = bytearray(first.read_bytes())
    raw[len(raw) // 2] ^= 1
    first.write_bytes(bytes(raw))
    second.unlink()
    what = [p["what"] for p in verify(project, deep=True).problems]
    assert what == ["the file's bytes have changed since it was written", "the file is missing"]
    assert len(verify(project).problems) == 1, "a flipped bit needs --deep"


def test_nothing_to_verify_is_a_failure(unbuilt: Path, copy: Copy) -> None:
    result = verify(copy(unbuilt))
    assert (result.partitions, result.missing) == (0, 3 * 2 * len(FEW))
    with pytest.raises(CheckError, match="no fresh partition"):
        result.demand()

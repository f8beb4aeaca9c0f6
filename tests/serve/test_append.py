"""Appended rows are those a whole build would give, bytes and hashes; what cannot be proven is left to a build."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import live_world as w
import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from bqx.base.errors import AppendError, LiveError
from bqx.build.project import Project
from bqx.build.run import build, plan
from bqx.features.catalogue import own_datasets
from bqx.features.declare import Dataset
from bqx.market.calendar import datetime_of, month_span
from bqx.market.simulated import simulated_source
from bqx.serve.live.appender import Appender

NAMES = ("ohlc_rate", "time_dual", "base_bqx", "returns_std_rate", "correlation_rate")
"""Levels and gaps, integers and no bars, float64, trajectories, values that see all pairs."""
Frames = dict[str, pl.DataFrame]


def chosen() -> dict[str, Dataset]:
    return {name: own_datasets()[name] for name in NAMES}


@pytest.fixture(autouse=True)
def catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bqx.build.project.datasets", chosen)


@pytest.fixture(scope="module")
def frames() -> Frames:
    return w.market()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, frames: Frames) -> Path:
    """A project built through Friday 20:00."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bqx.build.project.datasets", chosen)
        root = tmp_path_factory.mktemp("append") / "p"
        with closing(w.project(root, frames)) as project:
            build(project)
            with closing(Appender(project)) as appender:
                appender.engine.save()  # the others need not take in three weeks again
    return root


@pytest.fixture
def project(built: Path, tmp_path: Path) -> Iterator[Project]:
    shutil.copytree(built, tmp_path / "p")
    with closing(Project.open(tmp_path / "p")) as project:
        yield project


def give(project: Project, frames: Frames, start: int, end: int, pairs: tuple[str, ...] = w.PAIRS) -> None:
    """Bars of [start, end) arrive."""
    for pair in pairs:
        part = frames[pair].filter(pl.col("ts_utc").is_between(datetime_of(start), datetime_of(end), closed="left"))
        if part.height:
            project.bars.ingest(pair, part, simulated_source(11))


def due(frames: Frames, start: int, end: int, pairs: tuple[str, ...] = w.PAIRS) -> int:
    """Rows of all datasets for bars of [start, end), open minutes all: each pair's go to its last bar."""
    rows = 0
    for pair in pairs:
        part = frames[pair].filter(pl.col("ts_utc").is_between(datetime_of(start), datetime_of(end), closed="left"))
        rows += int(part["ts_utc"].to_physical()[-1] // 60_000_000) - start + 1 if part.height else 0
    return rows * len(NAMES)


def contents(project: Project) -> dict[str, tuple[str, str, str, int]]:
    """Of each partition its file's and its rows' hash, its inputs' and its end."""
    return {
        i.name: (i.pieces[0].file_hash, i.content_hash, i.input_hash, i.complete_through)
        for i in project.store.partitions()
    }


def whole(project: Project) -> dict[str, tuple[str, str, str, int]]:
    """The same after everything was built anew."""
    build(project, force=True)
    return contents(project)


def test_minutes_then_a_week_end_equal_a_build(project: Project, frames: Frames) -> None:
    """One minute, some minutes, then over the week end and the change of clocks; some bars are missing."""
    ends = [w.LIVE + 1, w.LIVE + 2, w.LIVE + 47, w.LIVE + 119, w.END - 60]
    with closing(Appender(project)) as appender:
        at = w.LIVE
        for end in ends:
            give(project, frames, at, end)
            done, at = appender.append(), end
            assert done.left == 0 and done.files == len(NAMES)
        assert plan(project)[0].units == ()
        assert appender.append().rows == 0
        assert appender.append().files == 0
    tails = [p for i in project.store.partitions() for p in i.pieces if p.kind == "tail"]
    assert len({p.path for p in tails}) == len(ends) * len(NAMES)
    project.store.compact()
    assert contents(project) == whole(project)
    assert project.store.verify(deep=True) == []


def test_a_restart_and_a_build_between(project: Project, frames: Frames) -> None:
    give(project, frames, w.LIVE, w.LIVE + 5)
    with closing(Appender(project)) as appender:
        assert appender.append().minutes == 5
    give(project, frames, w.LIVE + 5, w.LIVE + 20)
    build(project)
    give(project, frames, w.LIVE + 20, w.LIVE + 30)
    with closing(Appender(project)) as appender:
        done = appender.append()
    assert (done.minutes, done.left) == (25, 0)
    assert done.rows == due(frames, w.LIVE, w.LIVE + 30) - due(frames, w.LIVE, w.LIVE + 20)
    project.store.compact()
    assert contents(project) == whole(project)


def test_killed_before_the_commit(project: Project, frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's journal has the minutes, the store has not: the next process plays them again and appends."""
    give(project, frames, w.LIVE, w.LIVE + 3)
    appender = Appender(project)
    with monkeypatch.context() as patch:
        patch.setattr(type(project.store), "commit", _killed)
        with pytest.raises(_KilledError):
            appender.append()
    appender.engine.close()  # saves nothing
    with closing(Appender(project)) as appender:
        done = appender.append()
    assert (done.minutes, done.rows, done.left) == (0, due(frames, w.LIVE, w.LIVE + 3), 0)
    project.store.compact()
    assert contents(project) == whole(project)


class _KilledError(Exception):
    pass


def _killed(*_: object, **__: object) -> None:
    raise _KilledError


def test_a_silent_pair(project: Project, frames: Frames) -> None:
    """Its rows come with its next bar; those that see all pairs are not built twice."""
    first, rest = w.PAIRS[0], w.PAIRS[1:]
    with closing(Appender(project)) as appender:
        give(project, frames, w.LIVE, w.LIVE + 10, rest)
        one = appender.append()
        assert one.rows == due(frames, w.LIVE, w.LIVE + 10, rest)
        give(project, frames, w.LIVE + 10, w.LIVE + 12)
        two = appender.append()
    assert two.left == 0 and plan(project)[0].units == ()
    assert first in {i.key.pair for i in project.store.partitions() if len(i.pieces) == 2}
    project.store.compact()
    assert contents(project) == whole(project)


def test_corrected_bars_are_refused(project: Project, frames: Frames) -> None:
    """A bar that was built from changes: nothing is appended to what is no longer true."""
    with closing(Appender(project)) as appender:
        give(project, frames, w.LIVE, w.LIVE + 5)
        appender.append()
        before = contents(project)
        frame = frames["eurusd"].filter(pl.col("ts_utc") < datetime_of(w.LIVE)).tail(1)
        bent = frame.with_columns(pl.col("close") * (1 + 1e-9), pl.col("high") * (1 + 1e-9))
        project.bars.ingest("eurusd", bent, simulated_source(11), policy="newest")
        give(project, frames, w.LIVE + 5, w.LIVE + 6)
        with pytest.raises(AppendError, match="have changed"):
            appender.append()
        assert contents(project) == before


def test_a_stale_head_is_left_to_a_build(project: Project, frames: Frames) -> None:
    """The planted fault: a partition that was not built from today's bars gets no tail."""
    with project.manifest.transaction() as con:
        con.execute(
            "UPDATE piece SET input_hash = 'bars=0' WHERE generation_id = (SELECT g.id FROM generation g "
            "JOIN partition q ON q.id = g.partition_id WHERE q.ym = '2024_03' AND q.pair = 'usdjpy' LIMIT 1)"
        )
    give(project, frames, w.LIVE, w.LIVE + 2)
    with closing(Appender(project)) as appender:
        done = appender.append()
    assert done.left == 1
    assert done.partitions == len(NAMES) * len(w.PAIRS) - 1
    todo, _ = plan(project)
    assert [len(unit.pieces) for unit in todo.units] == [1]


def test_nothing_built(tmp_path: Path, frames: Frames) -> None:
    with (
        closing(w.project(tmp_path / "p", frames, w.START + 60)) as project,
        pytest.raises(LiveError, match="nothing is built"),
    ):
        Appender(project)


def test_command(project: Project, frames: Frames) -> None:
    from bqx.cli.main import root

    give(project, frames, w.LIVE, w.LIVE + 2)
    done = CliRunner().invoke(root, ["-C", str(project.root), "live", "append", "--once", "--json"], obj=None)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["rows"] == due(frames, w.LIVE, w.LIVE + 2) and told["left"] == 0 and told["simulated"]
    assert plan(project)[0].units == ()


def test_appended_values_are_values(project: Project, frames: Frames) -> None:
    """The rows that were compared hold numbers."""
    give(project, frames, w.LIVE, w.LIVE + 30)
    with closing(Appender(project)) as appender:
        appender.append()
    read = project.store.read("returns_std_rate", span=(w.LIVE, w.LIVE + 30)).collect()
    numbers = read.drop("pair", "ts_utc").to_numpy()
    assert np.isfinite(numbers).sum() > 500


def test_over_the_end_of_a_month(tmp_path: Path, frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    """One tail ends February, another is the beginning of March, of which there was nothing."""
    monkeypatch.setattr(
        "bqx.build.project.datasets", lambda: {n: own_datasets()[n] for n in ("ohlc_rate", "time_dual")}
    )
    march = month_span("2024_03")[0]
    with closing(w.project(tmp_path / "p", frames, march - 3)) as project:
        build(project)
        with closing(Appender(project)) as appender:
            for start, end in ((march - 3, march + 2), (march + 2, march + 6)):
                give(project, frames, start, end)
                assert appender.append().left == 0
        found = {i.name: len(i.pieces) for i in project.store.partitions()}
        assert {n for name, n in found.items() if name.endswith("2024_02")} == {2}
        assert {n for name, n in found.items() if name.endswith("2024_03")} == {2}
        project.store.compact()
        assert contents(project) == whole(project)

"""The live engine as a source: rows, sigma and cost equal the store's bit for bit, and the server follows it."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from api_server import start_server
from benchmarks.soak.api_world import DATASETS, chosen

from bqx.base.errors import FeedError, ServeError
from bqx.build.project import Project
from bqx.features.catalogue import dataset
from bqx.market.calendar import datetime_of
from bqx.serve.api.assemble import Settings, make_server
from bqx.serve.api.live_source import LiveSource
from bqx.serve.api.live_thread import FOLDER, LiveThread
from bqx.serve.api.model_sources import RunModels
from bqx.serve.api.models import ModelSet
from bqx.serve.api.store_source import StoreSource
from bqx.serve.live.bar import Bar
from bqx.serve.live.engine import Engine
from bqx.serve.live.feeds.replay import Replay
from bqx.serve.live.run import live_run

MINUTES = 90


@pytest.fixture
def project(served_world: Any, tmp_path: Path) -> Any:
    root = tmp_path / "p"
    shutil.copytree(served_world.root, root)
    with closing(Project.open(root)) as found:
        yield found


def engine_of(project: Project, through: int) -> Engine:
    return Engine(project, [dataset(name) for name in DATASETS], through=through)


def test_rows_equal_the_stores(project: Project, served_world: Any) -> None:
    """Every pair and minute of a replay, lags and missing bars too."""
    start = served_world.end - MINUTES
    columns = chosen()
    with closing(engine_of(project, start - 1)) as engine:
        store = StoreSource(project)
        live = LiveSource(engine, store, columns)
        compared = 0
        before = live.stamp()

        def told(engine: Engine) -> None:
            nonlocal compared
            live.take(engine)
            minute = engine.newest.minute
            for pair in served_world.pairs:
                if minute > (store.newest(pair, columns) or 0):
                    continue  # the store has no row after a pair's last bar
                mine, theirs = live.row(pair, minute, columns), store.row(pair, minute, columns)
                assert np.array_equal(mine.values, theirs.values, equal_nan=True)
                assert mine.values.dtype == np.float32
                for field in ("minute", "last_bar", "sigma", "cost", "left"):
                    assert getattr(mine, field) == getattr(theirs, field), (field, pair, datetime_of(minute))
                compared += len(columns)

        feed = Replay(project.bars, project.calendar, engine.pairs, start, served_world.end)
        live_run(engine, feed, 0.0).run(told=told)
        assert compared > 2 * 0.95 * MINUTES * len(columns)
        assert live.stamp() != before
        assert live.newest("eurusd", columns) == served_world.end - 1
        early = live.row("eurusd", start - 300, columns)
        assert np.array_equal(early.values, store.row("eurusd", start - 300, columns).values, equal_nan=True)


def test_a_revision_forgets_what_came_after(project: Project, served_world: Any) -> None:
    start = served_world.end - 30
    columns = chosen()
    with closing(engine_of(project, start - 1)) as engine:
        live = LiveSource(engine, StoreSource(project), columns)
        feed = Replay(project.bars, project.calendar, engine.pairs, start, served_world.end - 1)
        live_run(engine, feed, 0.0).run(told=live.take)
        minute = engine.newest.minute
        before = live.row("eurusd", minute, columns)
        lane = engine.pairs.index("eurusd")
        values = engine.bars(minute - 3)[:, lane].copy()
        values[[0, 1, 2, 3]] *= 1.0005
        assert engine.revise(Bar("eurusd", minute - 3, tuple(values)))
        live.take(engine)
        after = live.row("eurusd", minute, columns)
        assert not np.array_equal(before.values, after.values, equal_nan=True)
        assert len(live._minutes) == 1


def test_a_server_follows_the_engine(project: Project, served_world: Any) -> None:
    """The newest minute is answered once the engine has taken it, before anything is imported or built."""
    stop = served_world.end - 5
    world = replace(served_world, root=project.root, end=stop)
    served = start_server(world, after=61.0)
    columns = chosen()
    with closing(served), closing(engine_of(served.project, stop - 3)) as engine:
        live = LiveSource(engine, served.predictor.source, columns)
        served.predictor.source = live
        feed = Replay(project.bars, project.calendar, engine.pairs, stop - 2, stop + 1)
        live_run(engine, feed, 0.0).run(told=live.take)
        assert engine.newest.minute >= stop - 1
        for _ in range(200):
            found = served.predict().json()
            if found["data"]["source"] == "live" and found["data"]["bar"] == datetime_of(stop).isoformat():
                break
        assert found["data"]["bar"] == datetime_of(stop).isoformat()
        store = StoreSource(served.project)
        want = store.row("eurusd", stop, columns)
        assert found["data"]["sigma_bps"] == want.sigma


def test_a_thread_beside_the_server(project: Project, served_world: Any) -> None:
    """It tells when its feed ends, and goes on from its own state the next time."""
    with pytest.raises(FeedError, match="cannot be read"):
        make_server(project, Settings("first", feed=project.root / "none.csv", container=True))
    models = ModelSet(RunModels(project.root, "first"), project.root)
    end = served_world.end
    for first, last in ((end - 1, end), (end, end)):
        live = LiveThread(
            project, models, StoreSource(project), Replay(project.bars, project.calendar, (), first, last)
        )
        assert live.source.newest("eurusd", chosen()) == end - 1, "the stored bars are taken in at the start"
        live.start()
        live._thread.join(20)
        assert not live._thread.is_alive()
        with pytest.raises(ServeError, match="its feed ended"):
            live.check()
        live.close()
    assert list((project.root / FOLDER).iterdir())

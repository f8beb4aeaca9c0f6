"""Loss and coverage of served forecasts, and drift of a project's columns, against ways of one's own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from bqx.base.errors import MonitorInputError
from bqx.build.project import Project
from bqx.serve.api.batch import plan, write_part
from bqx.serve.api.model_sources import RunModels
from bqx.serve.api.models import ModelSet
from bqx.serve.monitor import drift, drift_look, performance
from bqx.serve.monitor.health import HealthLimits
from bqx.serve.monitor.settings import DriftSettings


@pytest.fixture(scope="module")
def project(served_world: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    root = tmp_path_factory.mktemp("performed") / "p"
    shutil.copytree(served_world.root, root, ignore=shutil.ignore_patterns("serve"))
    found = Project.open(root)
    yield found
    found.close()


@pytest.fixture(scope="module")
def models(project: Project) -> ModelSet:
    return ModelSet(RunModels(project.root, "first"), project.root)


def test_the_loss_of_a_day_is_that_of_the_bars(project: Project, models: ModelSet, tmp_path: Path) -> None:
    model = models.all()["eurusd"]
    part = plan(project, model, tmp_path, (None, None), cost=None, kind="parquet")[-1]
    write_part(project, model, part, cost=None)
    table = pl.read_parquet(part.path)
    found = performance.served_days(project, tmp_path, ["eurusd"], [15])

    minute = table["ts_utc"].to_physical().to_numpy() // 60_000_000
    grid = project.calendar.grid(int(minute[0]), int(minute[-1]) + 1)
    bars = project.bars.read(["eurusd"], int(minute[0]) - 1440, int(minute[-1]) + 1)["eurusd"]
    at = np.searchsorted(bars["ts_utc"].to_physical().to_numpy() // 60_000_000, grid.minute, side="right") - 1
    level = 1e4 * np.log(bars["close"].to_numpy()[at])
    last = project.calendar.ordinal(project.bars.spans()["eurusd"][1])
    losses: dict[int, list[float]] = {}
    misses: dict[int, list[bool]] = {}
    rows = table.select("sigma", "move_15", "lo80_15", "hi80_15").rows()
    for i, (sigma, move, low, high) in enumerate(rows):
        j = i + 15
        inside = j < len(grid) and grid.seg_id[j] == grid.seg_id[i]
        if not inside or move is None or project.calendar.ordinal(int(minute[0])) + j > last:
            continue
        scale, r = sigma * np.sqrt(15), level[j] - level[i]
        losses.setdefault(int(grid.day[i]), []).append(((r - move) / scale) ** 2 - (r / scale) ** 2)
        misses.setdefault(int(grid.day[i]), []).append(r < low or r > high)
    assert found["day"].to_list() == sorted(losses)
    np.testing.assert_allclose(found["loss"], [np.mean(losses[d]) for d in sorted(losses)], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(found["miss80"], [np.mean(misses[d]) for d in sorted(misses)], atol=2e-3)


def test_the_reference_is_the_runs_test_rows(project: Project) -> None:
    grid = project.calendar.grid(*project.bars.spans()["eurusd"])
    at = grid.minute[::500]
    rng = np.random.default_rng(0)
    stamps = pl.Series("ts_utc", (at * 60_000_000).astype("datetime64[us]")).dt.replace_time_zone("UTC")
    y, f = rng.standard_normal(len(at)), 0.1 * rng.standard_normal(len(at))
    table = pl.DataFrame([stamps, pl.Series("y4", y), pl.Series("f4", f)]).with_columns(
        lo80=-1.28, hi80=1.28, lo90=pl.lit(None, pl.Float64), hi90=pl.lit(None, pl.Float64)
    )

    class Run:
        def tables(self) -> list[tuple[str, int]]:
            return [("eurusd", 15), ("usdjpy", 15)]

        def forecasts(self, pair: str, horizon: int) -> pl.DataFrame:
            return table

    run: Any = Run()
    found = performance.reference_of(project, {"eurusd": run})
    day = grid.day[::500]
    assert found["day"].to_list() == np.unique(day).tolist() and found["miss90"].null_count() == found.height
    want = [((y - f) ** 2 - y**2)[day == d].mean() for d in np.unique(day)]
    np.testing.assert_allclose(found["loss"], want)
    np.testing.assert_allclose(found["miss80"], [(np.abs(y) > 1.28)[day == d].mean() for d in np.unique(day)])


def days(loss: np.ndarray, first: int) -> pl.DataFrame:
    rng = np.random.default_rng(len(loss))
    miss = 0.2 + 0.02 * rng.standard_normal(len(loss))
    day = np.arange(first, first + len(loss))
    return pl.DataFrame({"day": day, "loss": loss, "miss80": miss, "miss90": [None] * len(loss)},
                        schema=performance.SCHEMA)  # fmt: skip


def test_worse_losses_are_found_and_earlier_days_do_not_count() -> None:
    rng = np.random.default_rng(0)
    known = days(0.01 * rng.standard_normal(80), 0)
    calm = performance.judge(known, days(0.01 * rng.standard_normal(20), 80), arl=90.0, draws=100)
    assert [j.series for j in calm] == ["loss", "miss80"] and performance.findings(calm, "first") == []
    worse = performance.judge(known, days(0.01 * rng.standard_normal(20) + 0.03, 80), arl=90.0, draws=100)
    assert [f.key for f in performance.findings(worse, "first")] == ["loss/first-loss"]
    assert performance.judge(known, days(np.full(20, 9.0), 0), arl=90.0, draws=100) == []
    with pytest.raises(MonitorInputError, match="30 trade days"):
        performance.judge(known.head(30), known, arl=90.0, draws=100)


def test_drift_of_the_store_is_told_by_domain(
    project: Project, models: ModelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, settings = list(models.all().values()), DriftSettings(window=2, draws=199)
    with pytest.raises(MonitorInputError, match="drift needs 30"):
        drift_look.look(project, chosen, settings, HealthLimits())
    spans = {m.pair: project.bars.spans()[m.pair] for m in chosen}

    def span(project: Project, model: Any, newest: int, settings: Any) -> drift_look.Span:
        found = np.unique(project.calendar.grid(*spans[model.pair]).day)[1:-1].astype(np.int64)
        return drift_look.Span(found[:5], found[4:6])

    monkeypatch.setattr(drift_look, "span_of", span)
    monkeypatch.setattr(drift, "FEWEST", 3)
    monkeypatch.setattr(drift, "_block", lambda counts: 2.0)  # a block length needs 20 days
    monkeypatch.setattr(drift_look.drift, "FEWEST", 3)
    with pytest.raises(MonitorInputError, match="5 trade days"):
        drift_look.look(project, chosen, DriftSettings(window=3, draws=199), HealthLimits())
    settings = DriftSettings(window=1, draws=199)
    monkeypatch.setattr(drift_look, "span_of", lambda *a: drift_look.Span(span(*a).reference, span(*a).latest[1:]))
    found, seen = drift_look.look(project, chosen, settings, HealthLimits())
    columns = {(c.dataset, c.column) for c in chosen[0].columns}
    assert seen["features"] == 2 * len(columns) and {d["domain"] for d in seen["domains"]} == {"rate", "dual"}
    assert not [f for f in found if f.key == "drift/rate"]
    read = drift_look._read

    def shifted(project: Project, model: Any, chosen_days: Any) -> Any:
        day, X = read(project, model, chosen_days)
        return day, X + 3 * np.nanstd(X, axis=0) if len(chosen_days) == 1 else X

    monkeypatch.setattr(drift_look, "_read", shifted)
    found, _ = drift_look.look(project, chosen, settings, HealthLimits())
    assert "drift/rate" in {f.key for f in found}


def test_domains_are_named_by_dataset() -> None:
    assert [drift_look.domain_of(n) for n in ("base_bqx", "ohlc_rate", "time_dual", "odd")] == [
        "bqx",
        "rate",
        "dual",
        "dual",
    ]

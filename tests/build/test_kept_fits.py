"""Fits are kept in the manifest with their unit, found again while nothing changed, and made again when it did."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bqx.build.fits import list_fits
from bqx.build.project import Project
from bqx.build.run import build
from bqx.features.catalogue import datasets
from bqx.features.declare import Column, Dataset
from bqx.features.fits import Fit, fitted
from bqx.features.refresh import latest_points
from bqx.features.streams import PRICE, Streams
from bqx.features.support import All, Fitted, needed
from bqx.market.simulated import simulated_source

F8 = NDArray[np.float64]
Copy = Callable[[Path], Project]
BARS = 1000
MADE: list[int] = []


def mean_close(streams: Streams, row: int, lanes: NDArray[np.int64]) -> F8:
    """Mean of the 1,000 closes before a point, in bps of the latest, so that scale does not matter."""
    MADE.append(len(lanes))
    rows = streams.panel.close[max(0, row - BARS) : row, lanes]
    count = (~np.isnan(rows)).sum(axis=0)
    mean = np.array([np.nansum(rows[:, k]) for k in range(len(lanes))]) / np.maximum(count, 1)
    return np.where(count >= needed(BARS), mean, np.nan)[:, None]


SEES = Fitted(PRICE, BARS, "week")
FIT = Fit("mean_close", "lean_rate", ("mean",), "week", SEES, mean_close)


def compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
    """Close over the mean that the week's fit found."""
    points = latest_points(streams.panel.grid, "week", streams.calendar)
    out = np.full(streams.panel.shape, np.nan)
    for row in np.unique(points[points >= 0]).tolist():
        rows = points == row
        out[rows] = streams.panel.close[rows] / fitted(FIT, streams, row)[:, 0]
    return {"lean": out}


LEAN = Dataset(
    "lean",
    "rate",
    (Column("lean", "–", "close / mean", All((PRICE, SEES)), "XGAP"),),
    compute,
    lambda *_: np.nan,
    fits=(FIT,),
)


class Leaning(Project):
    """A project with one dataset that uses a fit."""

    @property
    def catalogue(self) -> Mapping[str, Dataset]:
        return {LEAN.name: LEAN, "returns_raw_rate": datasets()["returns_raw_rate"]}


@pytest.fixture
def leaning(unbuilt: Path, copy: Copy) -> Leaning:
    MADE.clear()
    return Leaning.open(copy(unbuilt).root)


def test_kept_and_found_again(leaning: Leaning) -> None:
    report = build(leaning, threads=1)
    assert report.fits == sum(MADE) > 0
    assert 0 < report.fit_seconds < report.core_seconds
    kept = list_fits(leaning.manifest, [FIT])
    assert {row["pair"] for row in kept} == set(leaning.pairs)
    assert len({(row["pair"], row["from"]) for row in kept}) == len(kept)
    assert all(row["sees_from"] < row["from"] for row in kept)
    first = {i.name: i.pieces[0].content_hash for i in leaning.store.partitions()}
    MADE.clear()
    again = build(leaning, threads=2, force=True)
    assert (MADE, again.fits) == ([], 0)
    assert {i.name: i.pieces[0].content_hash for i in leaning.store.partitions()} == first


def test_made_again_for_the_pair_whose_bars_changed(leaning: Leaning) -> None:
    build(leaning, threads=1)
    MADE.clear()
    low, high = leaning.bars.spans()["eurusd"]
    frame = leaning.bars.read(["eurusd"], low, high + 1)["eurusd"]
    early = frame[: len(frame) // 4]
    columns = ("open", "high", "low", "close")
    leaning.bars.ingest(
        "eurusd", early.with_columns(*(early[c] * 1.001 for c in columns)), simulated_source(7), policy="newest"
    )
    report = build(leaning, threads=1)
    assert set(MADE) == {1}, "one pair alone"
    assert report.fits == len(MADE) > 0


def test_a_changed_code_makes_it_again(leaning: Leaning, monkeypatch: pytest.MonkeyPatch) -> None:
    build(leaning, threads=1)
    MADE.clear()
    newer = replace(LEAN, version=2)
    monkeypatch.setattr(Leaning, "catalogue", property(lambda self: {newer.name: newer}))
    report = build(leaning, threads=1)
    assert report.fits == sum(MADE) > 0

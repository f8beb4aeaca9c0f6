"""Datasets: exactly the candidates, lags by grid minute inside the segment, pinned, sealed, resumable."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bqx.base.errors import CheckError, DatasetError, SealedError, UsageError
from bqx.build.project import Project
from bqx.features.catalogue import own_datasets
from bqx.features.support import Lag, View
from bqx.market.calendar import Calendar, month_span
from bqx.market.panel import Panel
from bqx.research.candidates import LAG_PROFILES, candidates
from bqx.research.dataset import MANIFEST, Dataset, manifest_hash
from bqx.research.dataset_make import make_dataset, summary
from bqx.research.seal import open_seal, openings
from bqx.research.segment_nulls import segment_nulls
from bqx.research.split_plan import HALF_YEAR, plan
from bqx.research.splits import DAY, MONTH, WEEK


def test_the_counting_rule() -> None:
    """1,264 + 4 x 344 = 2,640, for both profiles; a lag counts for the domain of its base."""
    for profile, lags in LAG_PROFILES.items():
        found = candidates(profile)
        assert len(found) == len({c.name for c in found}) == 2640
        assert sum(c.lag == 0 for c in found) == 1264
        assert [sum(c.lag == k for c in found) for k in lags] == [344] * 4
        base = {c.name: c for c in found if c.lag == 0}
        for c in found:
            if c.lag:
                assert c.signal_domain == base[f"{c.dataset}.{c.column}"].signal_domain
    domains = [c.signal_domain for c in candidates()]
    assert domains.count("rate") >= 100 and domains.count("bqx") >= 100 and domains.count("neutral") == 42
    with pytest.raises(UsageError, match="seed, extended"):
        candidates("weekly")


def test_candidates_are_the_stored_values_and_their_lags(noise_world: Project, noise_dataset: Dataset) -> None:
    """By brute force: the store's value at the grid minute t - k of the same segment, else NULL; over month ends."""
    chosen = [
        c for c in noise_dataset.candidates if c.column in ("rsi_14", "skew_60min") and c.dataset.endswith("rate")
    ]
    chosen += [c for c in noise_dataset.candidates if c.dataset == "time_dual"][:1]
    assert {c.lag for c in chosen} == {0, 1, 5, 15, 30}
    calendar = noise_world.calendar
    stored = {}
    for c in chosen:
        frame = noise_world.store.read(c.dataset, ["eurusd"], None, [c.column]).collect()
        minutes = (frame["ts_utc"].to_physical().to_numpy() // 60_000_000).tolist()
        values = frame[c.column].cast(pl.Float64).to_list()
        stored[c.dataset, c.column] = dict(zip(minutes, values, strict=True))
    compared = null = 0
    rng = np.random.default_rng(0)
    for block in noise_dataset.blocks("eurusd", chosen):
        ids = calendar.segment_ids(block.minute)
        rows = {*rng.integers(0, len(block), 60).tolist(), *range(40), *np.flatnonzero(block.seg_age < 31).tolist()}
        for r in sorted(rows):
            for k, c in enumerate(chosen):
                want = None
                if block.seg_age[r] >= c.lag:
                    then = calendar.at_ordinal(int(block.position[r]) - c.lag)
                    assert calendar.segment_ids(np.array([then]))[0] == ids[r]
                    want = stored[c.dataset, c.column].get(then)
                got = float(block.X[r, k])
                assert np.isnan(got) if want is None else got == np.float32(want)
                compared, null = compared + (want is not None), null + (want is None)
    assert compared > 3000 and null > 500


def test_rows_columns_and_counts(noise_dataset: Dataset) -> None:
    data = noise_dataset.data
    nulls = pl.read_parquet(noise_dataset.folder / "nulls" / "eurusd.parquet")
    assert nulls.height == 2640 and nulls["nulls"].sum() == data["counts"]["eurusd"]["nulls"]
    rows = total = 0
    for block in noise_dataset.blocks("eurusd"):
        assert block.X.shape == (len(block), 2640) and (np.diff(block.position) == 1).all()
        rows, total = rows + len(block), total + int(np.isnan(block.X).sum())
    assert rows == noise_dataset.splits.bars - WEEK, "the sealed week is not streamed"
    counts = data["counts"]["eurusd"]
    assert total < counts["nulls"] and 0 < counts["nulls"] - counts["declared"] < 0.02 * counts["nulls"], "gaps"
    shown = summary(noise_dataset)
    assert shown["candidates"] == 2640 and shown["pairs"][0]["rows"] == data["counts"]["eurusd"]["rows"]
    for t, n in shown["pairs"][0]["labels"].items():
        assert 0 < shown["pairs"][0]["effective"][t] < n / 10
    closed = shown["pairs"][0]["masked_by_closures"]
    assert [closed[str(h)] for h in (15, 75)] == [6 * 15, 6 * 75], "the last h minutes of each of six weeks"


def test_sample_is_every_nth_minute_of_the_blocks(noise_dataset: Dataset) -> None:
    chosen = noise_dataset.candidates[100:140]
    sample = noise_dataset.sample("usdjpy", every=15, chosen=chosen)
    blocks = list(noise_dataset.blocks("usdjpy", chosen))
    X = np.concatenate([b.X for b in blocks])
    at = np.concatenate([b.position for b in blocks])
    np.testing.assert_array_equal(sample.X, X[at % 15 == 0])
    np.testing.assert_array_equal(sample.position, at[at % 15 == 0])
    part = noise_dataset.sample("usdjpy", every=15, chosen=chosen, span=(int(at[5000]), int(at[9000])))
    assert len(part) == sum(at[5000:9000] % 15 == 0) and part.in_stream[0] == part.position[0] - at[0] + 1


def test_making_again_gives_the_same_hash_and_an_interrupted_one_goes_on(
    noise_world: Project, noise_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bqx.research import dataset_make

    real = dataset_make._pair
    calls: list[str] = []

    def failing(project: Project, work: Path, pair: str, *rest: object) -> dict[str, object]:
        if pair == "usdjpy" and not calls.count("usdjpy"):
            calls.append(pair)
            raise KeyboardInterrupt
        calls.append(pair)
        return real(project, work, pair, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(dataset_make, "_pair", failing)
    with pytest.raises(KeyboardInterrupt):
        make_dataset(noise_world, "second")
    assert not (noise_world.root / "datasets" / "second").exists(), "absent or complete"
    with pytest.raises(UsageError, match="first"):
        Dataset.open(noise_world, "second")
    counted = 0

    def counting(*args: object) -> object:
        nonlocal counted
        counted += 1
        return real_count(*args)  # type: ignore[arg-type]

    real_count = dataset_make._count_candidates
    monkeypatch.setattr(dataset_make, "_count_candidates", counting)
    made = make_dataset(noise_world, "second")
    assert counted == 1, "the finished pair was not counted again"
    assert made["hash"] == noise_dataset.hash and made["seal"] == noise_dataset.data["seal"]
    assert not list((noise_world.root / "datasets").glob(".*.part"))
    with pytest.raises(DatasetError, match="already"):
        make_dataset(noise_world, "second")


def test_the_seal(noise_world: Project, noise_dataset: Dataset) -> None:
    """Closed without a record, one opening a release, and no label before it reaches into it."""
    sealed = noise_dataset.splits.sealed
    assert sealed is not None
    labels = noise_dataset.labels("eurusd")
    assert labels.position.max() < sealed
    for h in (15, 75):
        known = np.isfinite(labels.values[f"r_{h}"])
        assert (labels.position[known] + h < sealed).all()
    with pytest.raises(SealedError, match="not opened"):
        noise_dataset.labels("eurusd", release="1.0")
    with pytest.raises(SealedError, match="not opened"):
        next(noise_dataset.blocks("eurusd", release="1.0"))
    assert open_seal(noise_world.root, noise_dataset.hash, "seal", "1.0", "final check")["times"] == 1
    assert noise_dataset.labels("eurusd", release="1.0").position.max() >= sealed
    with pytest.raises(SealedError, match=r"opened for release '1\.0' at"):
        open_seal(noise_world.root, noise_dataset.hash, "seal", "1.0", "again")
    assert [row["reason"] for row in openings(noise_world.root, noise_dataset.hash)] == ["final check"]
    with pytest.raises(UsageError):
        open_seal(noise_world.root, noise_dataset.hash, "seal", "2.0", " ")


def test_what_is_missing_is_named(noise_world: Project, tmp_path: Path) -> None:
    empty = Project.create(tmp_path / "empty", pairs=["eurusd"])
    with pytest.raises(DatasetError, match="33 of 33 datasets are not built for eurusd"):
        make_dataset(empty, "a")
    with pytest.raises(CheckError, match="three weeks"):
        make_dataset(noise_world, "short", start=noise_world.bars.spans()["eurusd"][1] - 1440)
    dry = make_dataset(noise_world, "dry", dry_run=True)
    assert dry["candidates"] == 2640 and "dry" not in [p.name for p in (noise_world.root / "datasets").iterdir()]
    with pytest.raises(UsageError, match="no name"):
        make_dataset(noise_world, "../up")


def test_a_changed_store_or_manifest_is_noticed(noise_world: Project, noise_dataset: Dataset) -> None:
    changed = json.loads(json.dumps(noise_dataset.data))
    changed["sources"]["eurusd"].popitem()
    other = Dataset(noise_world, "first", {**changed, "hash": manifest_hash(changed)})
    other.check_sources("eurusd")  # fewer sources than the store has are fine
    name = next(iter(changed["sources"]["eurusd"]))
    changed["sources"]["eurusd"][name] = "something else"
    with pytest.raises(DatasetError, match="not the generation"):
        next(Dataset(noise_world, "first", changed).blocks("eurusd"))
    changed["sources"]["eurusd"] = {"gone_rate_eurusd_2024_02": "x"}
    with pytest.raises(DatasetError, match="no longer in the store"):
        next(Dataset(noise_world, "first", changed).blocks("eurusd"))
    path = noise_dataset.folder / MANIFEST
    text = path.read_text()
    path.write_text(text.replace('"lag_profile": "seed"', '"lag_profile": "extended"'))
    with pytest.raises(DatasetError, match="was changed"):
        Dataset.open(noise_world, "first")
    path.write_text(text)


def test_plans_of_short_and_long_histories() -> None:
    for days in (257, 260, 264):  # calendar years, and twelve months of 22 days
        year = plan(1000, days * DAY, 75)
        assert len(year.folds()) == 6 and year.sealed == 1000 + days * DAY - 2 * MONTH
        assert year.combinatorial.count == 45
    for bars in (3 * WEEK, 5 * WEEK, 6 * WEEK, 12 * WEEK, 24 * WEEK, HALF_YEAR, 30 * MONTH):
        made = plan(7, bars, 75)
        assert made.folds(), bars
        assert all(f.train_end + 75 + made.embargo <= f.start for f in made.folds())
        at = np.arange(7, 7 + bars, 15)
        for f, (train, test) in zip(made.folds(), made.rows(at), strict=True):
            assert at[train].min() >= f.train_start and at[train].max() < f.train_end <= f.start <= at[test].min()
            assert len(test) and at[test].max() < f.end and len(train) > len(test) / 4
        if made.sealed is not None:
            assert all(f.end + 75 + made.embargo <= made.sealed for f in made.folds())
        assert (made.sealed is None) == (bars < 6 * WEEK)
        assert ("weeks" in made.text) == (bars < HALF_YEAR)


def test_declared_closures_are_those_of_the_supports() -> None:
    """On three whole weeks without a gap: each column's NULLs in the last of them, minute by minute."""
    calendar = Calendar.load()
    start = calendar.week_start(month_span("2024_02")[0])
    grid = calendar.grid(start, calendar.at_ordinal(calendar.ordinal(start) + 3 * WEEK - 1) + 1)
    ones = np.ones((len(grid), 1))
    run = np.zeros((len(grid), 1), np.int32)
    limits = np.array([start]), np.array([int(grid.minute[-1])])
    view = View(Panel(grid, ("eurusd",), ones, ones, ones, ones, ones, run, *limits), calendar)
    compared = 0
    for home in own_datasets().values():
        for support in {c.support for c in home.columns if c.warmup < WEEK}:
            if not home.counted or home.uses or home.fits:
                continue
            for lag in (0, 15):
                late = Lag(support, lag, "SEG").valid(view)[2 * WEEK :, 0]
                np.testing.assert_array_equal(~late, segment_nulls(support, lag), err_msg=f"{lag} {support}")
            compared += 1
    assert compared > 150

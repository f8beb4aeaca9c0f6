"""What goes stale is computed from inputs: no more, no less, and `impact` says it before it happens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from small_project import PAIRS, START, contents, fill

from bqx.base.errors import UsageError
from bqx.build.baseline import choose_t0
from bqx.build.impact import impact_of_bar, impact_of_code, impact_of_holiday, impact_of_import
from bqx.build.project import Project
from bqx.build.run import build, plan
from bqx.market.calendar import Calendar, datetime_of, minute_of
from bqx.market.simulated import simulate, simulated_source

pytestmark = pytest.mark.usefixtures("few_datasets")
Copy = Callable[[Path], Project]
Names = set[tuple[str, str, str]]


def stale(project: Project) -> Names:
    units = plan(project)[0].units
    return {(u.dataset, p.pair, u.ym) for u in units for p in u.pieces if p.state == "stale"}


def correct(project: Project, pair: str, when: datetime, factor: float = 1.001) -> None:
    """Ingest the bar of that minute again with other prices."""
    minute = minute_of(when)
    bar = project.bars.read([pair], minute, minute + 1)[pair]
    assert bar.height == 1, "choose a minute that has a bar"
    prices = [pl.col(c) * factor for c in bar.columns if c not in ("ts_utc", "volume")]
    record = {**simulated_source(7), "files": [["correction.csv", when.isoformat()]]}
    project.bars.ingest(pair, bar.with_columns(prices), record, policy="newest")


def foreseen(impact: object) -> Names:
    return {tuple(item[:3]) for item in impact.partitions}  # type: ignore[attr-defined]


def some_bar(project: Project, pair: str, after: datetime) -> datetime:
    start = minute_of(after)
    return project.bars.read([pair], start, start + 60)[pair]["ts_utc"][0]


MID_WEEK = datetime(2024, 7, 3, 12, tzinfo=UTC)


def test_a_corrected_bar_makes_only_its_pair_stale_and_only_what_reads_bars(built: Path, copy: Copy) -> None:
    project = copy(built)
    assert stale(project) == set()
    when = some_bar(project, "gbpusd", MID_WEEK)
    expected = impact_of_bar(project, "gbpusd", when)
    correct(project, "gbpusd", when)
    found = stale(project)
    assert found == foreseen(expected)
    panels = {name for name, home in project.catalogue.items() if "panel" in home.uses}
    assert {(pair, ym) for name, pair, ym in found if name not in panels} == {("gbpusd", "2024_07")}
    assert {(name, pair) for name, pair, _ in found if name in panels} == {
        (n, p) for n in panels for p in project.pairs
    }
    assert {d for d, _, _ in found} == set(project.catalogue) - {"time_dual"}
    before = contents(project)
    known = max(info.known_from for info in project.store.partitions())
    report = build(project)
    assert report.partitions == len(found)
    after = contents(project)
    assert {n for n in before if before[n] != after[n]} <= {f"{d}_{p}_{m}" for d, p, m in found}
    old = Project.open(project.root, as_of=str(datetime.fromtimestamp(known / 1e6 + 0.5, UTC)))
    columns = ["ohlc_rate.rate_index"]
    minute = minute_of(when)
    new_value = project.frame("gbpusd", columns=columns, start=minute, end=minute + 1)[columns[0]][0]
    old_value = old.frame("gbpusd", columns=columns, start=minute, end=minute + 1)[columns[0]][0]
    assert new_value == pytest.approx(old_value * 1.001, rel=1e-9)


def test_a_mid_week_correction_does_not_spread_but_a_weekly_close_does(built: Path, copy: Copy) -> None:
    """ohlc_rate's gap factor sees the past through weekly opens and closes only."""
    project = copy(built)
    mid = some_bar(project, "eurusd", datetime(2024, 6, 26, 12, tzinfo=UTC))
    late = foreseen(impact_of_bar(project, "eurusd", mid))
    assert ("ohlc_rate", "eurusd", "2024_06") in late
    assert ("ohlc_rate", "eurusd", "2024_07") not in late
    friday = minute_of(datetime(2024, 6, 28, 21, tzinfo=UTC))
    close = project.bars.read(["eurusd"], friday - 60, friday)["eurusd"]["ts_utc"][-1]
    expected = impact_of_bar(project, "eurusd", close)
    reasons = {(d, m): r for d, _, m, r in expected.partitions}
    assert reasons["ohlc_rate", "2024_07"] == "a weekly open or close changed"
    correct(project, "eurusd", close)
    assert stale(project) == foreseen(expected)
    build(project)
    fresh = copy(built)  # an undisturbed store over the corrected bars
    correct(fresh, "eurusd", close)
    build(fresh, force=True)
    assert contents(project) == contents(fresh)


def test_a_holiday_concerns_what_follows_and_is_foreseen(built: Path, copy: Copy) -> None:
    project = copy(built)
    expected = foreseen(impact_of_holiday(project, date(2024, 7, 9)))
    assert {ym for _, _, ym in expected} == {"2024_07"}
    assert len(expected) == len(PAIRS) * len(project.catalogue)
    holidays = project.root / "holidays.toml"
    default = Calendar.load()
    yearly = ", ".join(f'"{m:02}-{d:02}"' for m, d in default.yearly)
    dates = ", ".join(f'"{d}"' for d in (*default.dates, date(2024, 7, 9)))
    holidays.write_text(f'version = "test"\nyearly = [{yearly}]\ndates = [{dates}]\n')
    changed = Project.open(project.root, overrides={"project.calendar": "holidays.toml"})
    assert stale(changed) == expected
    build(changed)
    assert stale(changed) == set()
    rows = {i.rows for i in changed.store.partitions() if i.key.ym == "2024_07" and i.key.pair == "eurusd"}
    assert len(rows) == 1, "all datasets have the same rows"
    assert foreseen(impact_of_holiday(changed, date(2024, 7, 9))) == expected, "taking it back"


def test_changed_code_concerns_its_dataset(built: Path, copy: Copy) -> None:
    project = copy(built)
    found = foreseen(impact_of_code(project, "returns_std_bqx"))
    assert found == {("returns_std_bqx", pair, ym) for pair in PAIRS for ym in ("2024_06", "2024_07")}
    with pytest.raises(UsageError, match="unknown dataset"):
        impact_of_code(project, "nope")


def test_an_import_that_was_made_tells_what_it_did(built: Path, copy: Copy) -> None:
    project = copy(built)
    correct(project, "usdjpy", some_bar(project, "usdjpy", MID_WEEK))
    source = project.bars.sources()[-1]
    found = impact_of_import(project, str(source["id"]))
    assert foreseen(found) == stale(project)
    assert "1 pair-days" in found.change
    with pytest.raises(UsageError, match="no import"):
        impact_of_import(project, "999")


def test_new_bars_add_rows_to_the_open_month_only(built: Path, copy: Copy, bars: dict[str, pl.DataFrame]) -> None:
    cut = pl.lit(datetime(2024, 7, 9, 3, tzinfo=UTC))
    project = copy(built)
    root = project.root.parent / "grown"
    grown = fill(Project.create(root, pairs=PAIRS), {p: f.filter(pl.col("ts_utc") < cut) for p, f in bars.items()})
    build(grown)
    first = contents(grown)
    fill(grown, bars)
    found = stale(grown)
    assert {ym for _, _, ym in found} == {"2024_07"}
    assert len(found) == len(PAIRS) * len(grown.catalogue)
    build(grown)
    assert contents(grown) == contents(project), "grown step by step or built at once"
    assert {n for n in first if first[n] == contents(grown)[n]} == {n for n in first if n.endswith("2024_06")}


def test_t0_stays_when_history_is_prepended_and_a_corrected_baseline_makes_an_epoch(built: Path, copy: Copy) -> None:
    project = copy(built)
    rows = project.baselines()
    assert {row.t0 for row in rows.values()} == {choose_t0(project.calendar, project.bars.spans())}
    assert {row.epoch for row in rows.values()} == {1}
    early = START - 1440
    history = simulate(project.calendar, early, START, seed=9, pairs=PAIRS, origin_minute=early)
    fill(project, history)
    assert project.bars.spans()["eurusd"][0] < START
    build(project)
    assert project.baselines() == rows
    correct(project, "eurusd", datetime_of(rows["eurusd"].baseline_ts))
    found = stale(project)
    levels = {d for d, p, _ in found if p == "eurusd"}
    assert {("ohlc_rate", "eurusd", ym) for ym in ("2024_06", "2024_07")} <= found
    assert "base_bqx" in levels
    build(project)
    now = project.baselines()
    assert (now["eurusd"].epoch, now["eurusd"].t0, now["gbpusd"]) == (2, rows["eurusd"].t0, rows["gbpusd"])
    frame = project.frame("eurusd", columns=["ohlc_rate.baseline_epoch"])
    assert frame["ohlc_rate.baseline_epoch"].drop_nulls().unique().to_list() == [2]


def test_a_pair_without_a_bar_near_t0_loses_level_columns_only(tmp_path: Path, bars: dict[str, pl.DataFrame]) -> None:
    late = pl.lit(datetime_of(START) + timedelta(days=3))
    frames = {**bars, "usdjpy": bars["usdjpy"].filter(pl.col("ts_utc") >= late)}
    project = fill(Project.create(tmp_path / "p", pairs=PAIRS, t0=datetime_of(START).isoformat()), frames)
    build(project)
    assert set(project.baselines()) == {"eurusd", "gbpusd"}
    for pair, absent in (("usdjpy", True), ("eurusd", False)):
        frame = project.frame(pair, columns=["ohlc_rate.rate_index", "returns_raw_rate.ret_1"])
        assert (frame["ohlc_rate.rate_index"].null_count() == frame.height) is absent
        assert frame["returns_raw_rate.ret_1"].null_count() < frame.height / 10

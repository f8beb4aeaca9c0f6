"""The engine serves batch's bits whatever happens to bars, process, clock and disk."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import live_world as w
import numpy as np
import polars as pl
import pytest

from bqx.base.errors import BarRefused, LiveError, LiveStateError
from bqx.build.project import Project
from bqx.serve.live.bar import Bar
from bqx.serve.live.engine import Engine

Truth = dict[int, dict[str, np.ndarray]]
Make = Callable[[], Project]


def wrong(seen: w.Seen, truth: Truth) -> list[int]:
    """Minutes served with another bit than batch's; all of the span must have been served, and not as NULL."""
    assert list(seen) == list(truth)
    values = 0
    bad = []
    for minute, expected in truth.items():
        for name, want in expected.items():
            have = seen[minute][name]
            same = (have.view(np.int32) == want.view(np.int32)) | (np.isnan(have) & np.isnan(want))
            values += int((~np.isnan(want)).sum())
            if not same.all():
                bad.append(minute)
    assert values > 20_000
    return bad


def restarted(engine: Engine, project: Project) -> Engine:
    """The process dies without a word and another one starts: what was not on disk is gone."""
    engine.close()  # saves nothing
    return Engine(project, w.homes())


def test_minute_by_minute_is_batch(live_project: Make, live_frames: dict[str, pl.DataFrame], truth: Truth) -> None:
    """Over a week end on which New York's clocks change, bars missing, in one go."""
    engine, seen = Engine(live_project(), w.homes()), w.Seen()
    seen.feed(engine, w.book_of(engine), w.bars_from(live_frames, w.LIVE))
    assert wrong(seen, truth) == []
    assert engine.told.refused == [] and engine.told.revised == 0
    engine.close()


def test_ten_deaths(live_project: Make, live_frames: dict[str, pl.DataFrame], truth: Truth) -> None:
    """Killed at ten places and started again; the feed repeats its last bars each time."""
    project, seen = live_project(), w.Seen()
    bars = w.bars_from(live_frames, w.LIVE)
    engine, at = Engine(project, w.homes()), 0
    for stop in sorted(random.Random(2).sample(range(50, len(bars)), 10)):
        seen.feed(engine, w.book_of(engine), bars[max(0, at - 9) : stop])
        engine, at = restarted(engine, project), stop
        assert engine.told.refused == []
    seen.feed(engine, w.book_of(engine), bars[at - 9 :])
    assert wrong(seen, truth) == []
    engine.close()


def test_double_and_reordered_bars(live_project: Make, live_frames: dict[str, pl.DataFrame], truth: Truth) -> None:
    rng = random.Random(4)
    bars = w.bars_from(live_frames, w.LIVE)
    arriving = [(bar.minute + 0.1 * rng.random(), bar) for bar in bars]
    arriving += [(bar.minute + 20 * rng.random(), bar) for bar in rng.sample(bars, 200)]
    engine, seen = Engine(live_project(), w.homes()), w.Seen()
    book = w.book_of(engine)
    seen.feed(engine, book, [bar for _, bar in sorted(arriving, key=lambda item: item[0])])
    assert wrong(seen, truth) == []
    assert book.counts["duplicate"] + book.counts["revision"] == 200 and engine.told.revised == 0
    engine.close()


def test_outage_of_two_hours(live_project: Make, live_frames: dict[str, pl.DataFrame], truth: Truth) -> None:
    """Nothing is concluded while nothing comes; then the bars come at once and are caught up with."""
    bars = w.bars_from(live_frames, w.LIVE)
    cut, back = w.END - 170, w.END - 50
    engine, seen = Engine(live_project(), w.homes()), w.Seen()
    book = w.book_of(engine)
    seen.feed(engine, book, [bar for bar in bars if bar.minute < cut])
    assert list(book.ready(60.0 * back)) == []
    late = 60.0 * (back - cut) + 61.0
    seen.feed(engine, book, [bar for bar in bars if cut <= bar.minute < back], lag=late)
    seen.feed(engine, book, [bar for bar in bars if bar.minute >= back])
    assert wrong(seen, truth) == []
    engine.close()


def test_a_late_bar_is_worked_in(live_project: Make, live_frames: dict[str, pl.DataFrame], truth: Truth) -> None:
    """Minutes were served without it; from its arrival on everything is as if it had come in time."""
    bars = w.bars_from(live_frames, w.LIVE)
    late = next(bar for bar in bars if bar.pair == "gbpusd" and bar.minute > w.LIVE + 40)
    rest = [bar for bar in bars if bar is not late]
    at = next(k for k, bar in enumerate(rest) if bar.minute > late.minute + 25)
    project, seen = live_project(), w.Seen()
    engine = Engine(project, w.homes())
    seen.feed(engine, w.book_of(engine), [*rest[:at], late, *rest[at:]])
    assert engine.told.revised == 1
    bad = wrong(seen, truth)
    assert bad and late.minute <= min(bad) and max(bad) < late.minute + 25
    after = restarted(engine, project)
    assert {k: v.tobytes() for k, v in after.newest.values().items()} == {
        k: v.tobytes() for k, v in engine.newest.values().items()
    }
    after.close()


def test_too_late_is_refused(live_project: Make, live_frames: dict[str, pl.DataFrame]) -> None:
    bars = w.bars_from(live_frames, w.LIVE)
    engine, seen = Engine(live_project(), w.homes(), every=20), w.Seen()
    seen.feed(engine, w.book_of(engine), bars[:400])
    before = {k: v.tobytes() for k, v in engine.newest.values().items()}
    old = bars[0]
    assert not engine.revise(old)  # nothing new
    with pytest.raises(BarRefused, match="too late"):
        engine.revise(Bar(old.pair, old.minute, (*(v * 1.5 for v in old.values[:4]), *old.values[4:])))
    assert {k: v.tobytes() for k, v in engine.newest.values().items()} == before
    engine.close()


@pytest.mark.parametrize("where", ["head", "body", "short", "name"])
def test_damaged_state_is_refused(
    where: str, live_project: Make, live_frames: dict[str, pl.DataFrame], truth: Truth
) -> None:
    """The newest snapshot is damaged: the one before and the journal give the same bits."""
    project, seen = live_project(), w.Seen()
    bars = w.bars_from(live_frames, w.LIVE)
    engine = Engine(project, w.homes())
    seen.feed(engine, w.book_of(engine), bars[:600])
    newest = engine._snapshots.newest_first()[0]
    engine.close()
    data = bytearray(newest.read_bytes())
    if where == "short":
        newest.write_bytes(data[:-7])
    elif where == "name":
        newest.rename(newest.with_name(f"state-{engine.newest.minute + 1}.live"))
    else:
        data[60 if where == "head" else -1000] ^= 1
        newest.write_bytes(bytes(data))
    engine = Engine(project, w.homes())
    assert len(engine.told.refused) == 1
    assert list((project.root / "live").glob("*.refused"))
    seen.feed(engine, w.book_of(engine), bars[591:])
    assert wrong(seen, truth) == []
    engine.close()


def test_no_state_left(live_project: Make, live_frames: dict[str, pl.DataFrame], truth: Truth) -> None:
    """Every snapshot is gone: stored bars and journal are enough."""
    project, seen = live_project(), w.Seen()
    bars = w.bars_from(live_frames, w.LIVE)
    engine = Engine(project, w.homes())
    seen.feed(engine, w.book_of(engine), bars[:500])
    engine.close()
    for path in (project.root / "live").glob("*.live"):
        path.unlink()
    engine = Engine(project, w.homes())
    seen.feed(engine, w.book_of(engine), bars[491:])
    assert wrong(seen, truth) == []
    engine.close()


def test_torn_and_damaged_journal(live_project: Make, live_frames: dict[str, pl.DataFrame], truth: Truth) -> None:
    """A record cut short was never used; one damaged in the middle stops the engine."""
    project, seen = live_project(), w.Seen()
    bars = w.bars_from(live_frames, w.LIVE)
    engine = Engine(project, w.homes())
    seen.feed(engine, w.book_of(engine), bars[:300])
    engine.close()
    journal = project.root / "live" / "bars.journal"
    with journal.open("ab") as file:
        file.write(b"BQXJ torn")
    engine = Engine(project, w.homes())
    seen.feed(engine, w.book_of(engine), bars[291:])
    assert wrong(seen, truth) == []
    engine.close()
    data = bytearray(journal.read_bytes())
    data[len(data) // 2] ^= 1
    journal.write_bytes(bytes(data))
    with pytest.raises(LiveStateError, match="journal is damaged"):
        Engine(project, w.homes())


def test_other_bars_under_it(live_project: Make, live_frames: dict[str, pl.DataFrame], truth: Truth) -> None:
    """The stored bars that live began from are corrected: its states are refused, and made anew."""
    project, seen = live_project(), w.Seen()
    engine = Engine(project, w.homes())
    bars = w.bars_from(live_frames, w.LIVE)
    seen.feed(engine, w.book_of(engine), bars)
    engine.close()
    frame = live_frames["eurusd"].filter(pl.col("ts_utc").dt.date() == pl.date(2024, 3, 7))
    changed = frame.with_columns(pl.col("close", "high") * 1.0001)
    source = project.bars.sources()[0]
    project.bars.ingest("eurusd", changed, {k: source[k] for k in source}, policy="newest")
    engine = Engine(project, w.homes())
    assert engine.told.refused and all("other inputs: bars" in why for why in engine.told.refused)
    assert engine.newest.minute == max(seen)  # from the stored bars and the journal
    engine.close()


def test_fork_goes_its_own_way(
    tmp_path: Path, live_project: Make, live_frames: dict[str, pl.DataFrame], truth: Truth
) -> None:
    project, seen = live_project(), w.Seen()
    bars = w.bars_from(live_frames, w.LIVE)
    engine = Engine(project, w.homes())
    seen.feed(engine, w.book_of(engine), bars[:200])
    engine.fork(tmp_path / "fork")
    other = Engine(project, w.homes(), tmp_path / "fork")
    assert other.next == engine.next
    strange = [Bar(b.pair, b.minute, (*(v * 1.001 for v in b.values[:4]), *b.values[4:])) for b in bars[200:300]]
    w.Seen().feed(other, w.book_of(other), strange)
    seen.feed(engine, w.book_of(engine), bars[191:])
    assert wrong(seen, truth) == []
    engine.close()
    other.close()


def test_a_minute_that_fails_half_way(
    monkeypatch: pytest.MonkeyPatch, live_project: Make, live_frames: dict[str, pl.DataFrame], truth: Truth
) -> None:
    """Some datasets took it and some did not: nothing more is served until the engine is opened again."""
    project, seen = live_project(), w.Seen()
    bars = w.bars_from(live_frames, w.LIVE)
    engine = Engine(project, w.homes())
    seen.feed(engine, w.book_of(engine), bars[:150])
    rows = engine.bars(engine.newest.minute)
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(engine._at.session.lives[1], "advance", lambda _: 1 / 0)
        engine.take(engine.next, rows)
    with pytest.raises(LiveError, match="half way"):
        engine.take(engine.next, rows)
    engine.close()
    cut = project.root / "live" / "bars.journal"
    cut.write_bytes(cut.read_bytes()[:-1])  # the invented minute
    engine = Engine(project, w.homes())
    seen.feed(engine, w.book_of(engine), bars[141:])
    assert wrong(seen, truth) == []
    engine.close()


def test_one_process_a_folder(live_project: Make) -> None:
    project = live_project()
    engine = Engine(project, w.homes())
    with pytest.raises(LiveError, match="another process"):
        Engine(project, w.homes())
    engine.close()


def test_lags_stop_at_a_closure(live_project: Make, live_frames: dict[str, pl.DataFrame]) -> None:
    """Lags of a candidate are the rows before of the same segment."""
    project = live_project()
    engine = Engine(project, [*w.homes()[:1], w.technical()])
    name = "technical_rate.roc_6"
    seen: dict[int, np.ndarray] = {}
    book = w.book_of(engine)
    for bar in w.bars_from(live_frames, w.LIVE):
        book.offer(bar, 60.0 * bar.minute + 61)
        for minute, rows in book.ready(60.0 * bar.minute + 61):
            engine.take(minute, rows)
            seen[minute] = engine.newest.column(name).copy()
            for lag in (1, 5, 30):
                lagged, before = engine.newest.column(f"{name}.lag{lag}"), seen.get(minute - lag)
                if engine.newest.age < lag:
                    assert np.isnan(lagged).all()
                elif before is not None:
                    np.testing.assert_array_equal(lagged, before)
    with pytest.raises(LiveError, match="no value named"):
        engine.newest.matrix([f"{name}.lag9999"])
    engine.close()

"""What a value sees and where it is NULL, against cases worked by hand and against the kernels' real memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bqx.features.catalogue import datasets, earliest
from bqx.features.checks import World
from bqx.features.checks.result import same_bits
from bqx.features.compute import evaluate
from bqx.features.declare import Column, Dataset
from bqx.features.streams import PRICE, SIGMA, Streams, momentum_support
from bqx.features.support import All, Always, Baseline, Lag, Opened, Support, Trajectory, View, Window, counts, needed
from bqx.market.bars import PRICE_COLUMNS
from bqx.market.calendar import WEEK, Calendar, Grid, minute_of
from bqx.market.panel import NEVER, Panel

CALENDAR = Calendar.load()
MONDAY = minute_of(datetime(2024, 3, 11, tzinfo=UTC))


def panel(*segments: str) -> Panel:
    """One pair; a character a minute: `1` quoted, `c` carried, `.` without a price. A string a segment."""
    marks = "".join(segments)
    age = np.concatenate([np.arange(len(s)) for s in segments]).astype(np.int32)
    segment = np.repeat(np.arange(len(segments)), [len(s) for s in segments]).astype(np.int32)
    minute = MONDAY + np.arange(len(marks), dtype=np.int64)
    priced = np.array([c != "." for c in marks])[:, None]
    close = np.where(priced, 1.0, np.nan)
    run = np.zeros(len(marks), dtype=np.int32)
    for r, c in enumerate(marks):
        run[r] = 0 if c == "1" else 1 + (run[r - 1] if age[r] else 0)
    zero = np.zeros_like(segment)
    first = np.array([MONDAY + marks.index("1")]) if "1" in marks else np.array([NEVER])
    grid = Grid(minute, zero, zero, segment, age)
    last = np.array([minute[-1]])
    return Panel(grid, ("eurusd",), close, close, close, close, close * 0, run[:, None], first, last)


def marks(support: Support, shown: Panel, baseline: int | None = None) -> str:
    """`v` where the support allows a value, `-` where not."""
    view = View(shown, CALENDAR, None if baseline is None else np.array([baseline]))
    valid = support.valid(view)[:, 0]
    for row in range(len(valid)):
        assert (support.why(view, row, 0) is None) == valid[row], f"row {row}: {support.why(view, row, 0)}"
    return "".join("v" if v else "-" for v in valid)


def test_needed() -> None:
    """All below 20, else 90 % rounded up."""
    found = {w: needed(w) for w in (1, 2, 15, 19, 20, 21, 29, 30, 45, 60, 75, 480, 1440)}
    expected = {
        1: 1,
        2: 2,
        15: 15,
        19: 19,
        20: 18,
        21: 19,
        29: 27,
        30: 27,
        45: 41,
        60: 54,
        75: 68,
        480: 432,
        1440: 1296,
    }
    assert found == expected


@pytest.mark.parametrize(
    ("support", "segments", "expected"),
    [
        (Always(), ("1.1",), "vvv"),
        (PRICE, ("11c..1", ".11"), "vvv--v-vv"),
        # a lag inside the segment: both ends priced, what lies between does not matter
        (Lag(PRICE, 2, "SEG"), ("111.1", "1111"), "--v-v--vv"),
        (Lag(PRICE, 2, "SEG"), ("1.1.1",), "--v-v"),
        # over closures
        (Lag(PRICE, 2, "XGAP"), ("111", "111"), "--vvvv"),
        (Lag(PRICE, 2, "XGAP", gaps=True), ("111", "1.1"), "--vv-v"),
        # a whole segment without a price in between cannot be bridged; without gaps to remove it can
        (Lag(PRICE, 4, "XGAP", gaps=True), ("111", "...", "111"), "---------"),
        (Lag(PRICE, 4, "XGAP"), ("111", "...", "111"), "------v--"),
        (Lag(PRICE, 4, "XGAP", gaps=True), ("111", "..1", "111"), "-----vv--"),
        # three values of which all are needed (below 20)
        (Window(PRICE, 3, "SEG"), ("111.111", "111"), "--v---v--v"),
        (Window(PRICE, 3, "XGAP"), ("111.111", "111"), "--v---vvvv"),
        # the window before the bar: the bar itself may be without a price
        (Window(PRICE, 3, "SEG", before=True), ("111.111",), "---v---"),
        (Window(PRICE, 3, "SEG", before=True), ("111111",), "---vvv"),
        (All((PRICE, Window(PRICE, 3, "SEG", before=True))), ("111.1111",), "-------v"),
        (Window(Lag(PRICE, 1, "SEG"), 2, "XGAP"), ("1111", "1111"), "--vv--vv"),
        # 18 of 20 are needed
        (Window(PRICE, 20, "SEG"), ("1" * 20, ), "-" * 19 + "v"),
        (Window(PRICE, 20, "SEG"), ("..." + "1" * 21,), "-" * 20 + "vvvv"),
        (Window(PRICE, 20, "XGAP"), ("1" * 10 + ".", "." + "1" * 12), "-" * 19 + "vvvvv"),
        (Window(PRICE, 20, "XGAP"), ("1" * 10 + "..", "." + "1" * 18), "-" * 30 + "v"),
        # a recursion that begins two bars before its segment, needs three values and is read before the bar
        (Trajectory(PRICE, 3, 2, before=True), ("11111", "1111"), "---vv-vvv"),
        (Trajectory(PRICE, 3, 2, before=True), ("1.11.1", "..11"), "----vv----"),
        (Trajectory(PRICE, 3, 2, before=False), ("11111", "1111"), "--vvvvvvv"),
        (Trajectory(PRICE, 3, 0, before=False), ("11111", "1111"), "--vvv--vv"),
        (Trajectory(PRICE, 3, 9, before=True), ("11", "11", "11"), "---vvv"),
        (Opened(), ("..1.", "1.", "..", ".1"), "--vvvv---v"),
    ],
)  # fmt: skip
def test_by_hand(support: Support, segments: tuple[str, ...], expected: str) -> None:
    assert marks(support, panel(*segments)) == expected


def test_baseline_by_hand() -> None:
    shown = panel("1111", "1.11")
    assert marks(Baseline(PRICE), shown) == "--------", "a pair without a baseline has no levels"
    assert marks(Baseline(PRICE), shown, MONDAY + 2) == "--vvv-vv"
    assert marks(Baseline(Always()), shown, MONDAY + 5) == "-----vvv"
    assert marks(Baseline(PRICE), shown, NEVER) == "--------"


@pytest.mark.parametrize(
    ("support", "segments", "row", "words"),
    [
        (PRICE, ("1......",), 6, "gap: 6 minutes without a quote"),
        (PRICE, ("11", "..1"), 3, "gap: no quote since the segment began"),
        (Lag(PRICE, 2, "SEG"), ("11", "11"), 3, "closure: 2 bars back"),
        (Lag(PRICE, 2, "XGAP"), ("111",), 1, "warm-up: 2 bars back"),
        (Lag(PRICE, 2, "SEG"), (".11",), 2, "2 bars back, gap"),
        (Lag(PRICE, 4, "XGAP", gaps=True), ("11", "...", "11"), 5, "a whole trading week in between"),
        (Window(PRICE, 3, "SEG"), ("11", "11"), 3, "closure: the window of 3 bars"),
        (Window(PRICE, 3, "SEG"), ("1.1",), 2, "gap: 2 of 3 values in the window are valid, 3 are needed"),
        (Trajectory(PRICE, 3, 2), ("111",), 2, "warm-up: the recursion has taken in 2 values"),
        (Baseline(PRICE), ("111",), 2, "baseline: the pair has no baseline price"),
        (Opened(), ("11", ".1"), 2, "gap: the segment has had no quote of this pair yet"),
    ],
)
def test_reasons(support: Support, segments: tuple[str, ...], row: int, words: str) -> None:
    reason = support.why(View(panel(*segments), CALENDAR), row, 0)
    assert reason is not None
    assert words in reason


def test_stream_must_be_long_enough() -> None:
    """`expected` asks for the warm-up in bars of the pair's stream besides the support."""
    item = Column("x", "bps", "", Trajectory(PRICE, 3, 9, before=False), "XGAP")
    assert item.warmup == 3
    view = View(panel("..1.1.1"), CALENDAR)
    assert item.expected(view)[:, 0].tolist() == [False] * 6 + [True]
    assert item.why_null(view, 1, 0) == "warm-up: the pair has no bar yet"
    assert item.why_null(view, 3, 0) == "warm-up: 2 bars since the pair's first, 3 needed"
    assert item.why_null(view, 6, 0) is None


@pytest.mark.parametrize(
    ("path", "warmup"),
    [
        ("base_bqx.rate_index", 1), ("base_bqx.w15_bqx_return", 16), ("base_bqx.w60_bqx_endpoint", 61),
        ("base_bqx.agg_bqx_volatility", 76), ("base_bqx.M_45", 46), ("ohlc_rate.seg_age", 0), ("time_dual.hour_sin", 0),
        ("returns_raw_rate.ret_1", 2), ("returns_raw_rate.ret_1440", 1441), ("returns_raw_bqx.ret_1", 17),
        ("returns_raw_bqx.ret_1440", 1456), ("returns_std_rate.retz_1", 601), ("returns_std_rate.retz_1440", 1441),
        # lag 1 of M_15, then 480 of them; lag 1440, then 5760
        ("returns_std_bqx.retz_1", 17 + 479), ("returns_std_bqx.retz_1440", 1456 + 5759),
    ],
)  # fmt: skip
def test_warmups(path: str, warmup: int) -> None:
    name, _, column = path.partition(".")
    assert datasets()[name].by_name[column].warmup == warmup


def utc(day: str, clock: str = "00:00") -> int:
    return minute_of(datetime.fromisoformat(f"{day}T{clock}:00+00:00"))


def test_earliest_by_hand(holiday_calendar: Calendar) -> None:
    """Wednesday 6 March 2024 is closed: segments begin 3 March 22:00, 6 March 22:00 (2 days long), 10 March 21:00."""
    now = utc("2024-03-12", "10:00")
    week, short, split = utc("2024-03-10", "21:00"), utc("2024-03-06", "22:00"), utc("2024-03-03", "22:00")
    cases: Mapping[Support, int] = {
        Always(): now,
        PRICE: week,
        Lag(PRICE, 60, "SEG"): week,
        momentum_support(75): week,
        Lag(PRICE, 1440, "XGAP"): week,  # 1,440 bars back is Monday 10:00
        Lag(PRICE, 2220, "XGAP"): week,  # the segment's first minute
        Lag(PRICE, 2221, "XGAP"): short,
        Window(PRICE, 2880, "XGAP"): short,  # summed anew at the segment start, which sees 2,879 bars before it
        Window(PRICE, 2881, "XGAP"): short,
        Window(PRICE, 2882, "XGAP"): split,
        SIGMA: short,
        Trajectory(PRICE, 1, 2880): short,
        Trajectory(PRICE, 1, 2881): split,
        Window(Lag(PRICE, 1000, "XGAP"), 2000, "XGAP"): split,
    }
    for support, expected in cases.items():
        assert support.earliest(now, holiday_calendar) == expected, support
        assert All((PRICE, support)).earliest(now, holiday_calendar) == min(expected, week)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.text("1c.", min_size=1, max_size=15), min_size=1, max_size=4), st.integers(1, 12), st.booleans())
def test_window_any(segments: list[str], bars: int, before: bool) -> None:
    shown = panel(*segments)
    priced, age = ~np.isnan(shown.close[:, 0]), shown.grid.seg_age
    for policy in ("SEG", "XGAP"):
        expected = ""
        for r in range(len(priced)):
            window = priced[max(0, r - bars + 1 - before) : r + 1 - before] if r >= before else priced[:0]
            inside = policy == "XGAP" or age[r] >= bars - 1 + before
            expected += "v" if window.sum() >= needed(bars) and inside else "-"
        assert marks(Window(PRICE, bars, policy, before), shown) == expected  # type: ignore[arg-type]


def test_counts() -> None:
    mask = np.array([[1, 0, 1, 1, 1, 0]], dtype=bool).T
    assert counts(mask, 3)[:, 0].tolist() == [1, 1, 2, 2, 3, 2]
    assert counts(mask, 9)[:, 0].tolist() == [1, 1, 2, 3, 4, 4]


# --- on the market --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", datasets())
def test_a_reason_wherever_null_is_declared(name: str, world: World) -> None:
    first, last = world.span
    view = world.view(first, last)
    rng = np.random.default_rng(4)
    supports = {c.support: c for c in datasets()[name].columns}
    asked = 0
    for item in supports.values():
        expected = item.expected(view)
        for wanted in (True, False):
            rows, pairs = np.nonzero(expected == wanted)
            for k in rng.choice(len(rows), min(4, len(rows)), replace=False) if len(rows) else ():
                assert (item.why_null(view, int(rows[k]), int(pairs[k])) is None) == wanted
                asked += 1
    assert asked >= 4


WEEKS_BACK = {"base": 1, "ohlc": 1, "time": 1, "statistics": 1, "realized_volatility": 1, "technical": 3,
              "error_correction": 7, "hmm_regime": 11, "regime_trend": 4, "regime_vol": 5, "spread": 9,
              "volume_rate": 9, "volume_bqx": 1}  # fmt: skip
"""Trading weeks that bars are loaded from at most, the current one included, where it is not two; 5 days each, no
holiday. By family, or by dataset."""


@pytest.mark.parametrize("name", datasets())
def test_earliest_is_not_absurd(name: str) -> None:
    home = datasets()[name]
    limit = WEEKS_BACK.get(name, WEEKS_BACK.get(home.family, 2))
    weeks = set()
    for minute in range(MONDAY - 3 * 60, MONDAY + 5 * 1440 - 4 * 60, 97):
        begin = earliest(home, minute, CALENDAR)
        assert begin == CALENDAR.segment_start(begin) <= minute
        now = CALENDAR.segment_start(minute)
        weeks.add(round((CALENDAR.ordinal(now) - CALENDAR.ordinal(begin)) / WEEK) + 1)
    assert max(weeks) == limit


def noisy(world: World, before: int) -> World:
    """Other prices in all bars before a minute; the same minutes."""
    frames = {}
    for k, (pair, frame) in enumerate(world.frames.items()):
        old = (frame["ts_utc"].to_physical() // 60_000_000 < before).to_numpy()
        factor = np.exp(np.cumsum(np.random.default_rng(k).standard_normal(len(frame)) * 1e-3))
        scaled = {c: np.where(old, frame[c].to_numpy() * factor, frame[c].to_numpy()) for c in PRICE_COLUMNS}
        frames[pair] = frame.with_columns(pl.Series(c, v) for c, v in scaled.items())
    return World(frames, world.calendar, world.t0)


def from_the_beginning(world: World, home: Dataset, columns: list[str], start: int, end: int) -> NDArray[np.float64]:
    """Values of [start, end) from all bars there are, not only from those a unit would load."""
    shown = world.panel(world.calendar.segment_start(world.span[0]), end)
    row = shown.grid.index(start)
    values = evaluate(home, Streams(shown, world.calendar, world.anchors()), columns)
    return np.stack([value[row:] for value in values.values()], axis=2)


@pytest.mark.parametrize("name", datasets())
def test_nothing_before_earliest_matters(name: str, world_for: Callable[[Dataset], World]) -> None:
    """Bars before `earliest` are replaced by noise and all of them loaded: no bit moves, in the middle of a week and as
    one opens. Level columns, which also use the baseline and the closure gaps since T0, are not asked."""
    home = datasets()[name]
    world = world_for(home)
    columns = [c.name for c in home.columns if "level" not in c.tags]
    compared = 0
    for start in (utc("2024-03-10", "21:00"), utc("2024-03-14", "15:00")):
        begin = earliest(home, start, world.calendar, columns)
        honest = from_the_beginning(world, home, columns, start, start + 300)
        bent = from_the_beginning(noisy(world, begin), home, columns, start, start + 300)
        assert same_bits(honest, bent).all()
        compared += int((~np.isnan(honest)).sum())
    assert compared > 1000


@pytest.mark.parametrize("path", ["returns_raw_rate.ret_1440", "returns_std_rate.retz_1", "returns_std_bqx.retz_1",
                                  "returns_std_bqx.retz_1440", "returns_raw_bqx.ret_480"])  # fmt: skip
def test_what_is_after_earliest_does(path: str, world: World) -> None:
    """The test above can fail: noise up to the segment start moves columns that look across it."""
    name, _, column = path.partition(".")
    start = utc("2024-03-11", "00:00")  # three hours into the week
    begin = world.calendar.segment_start(start)
    honest = from_the_beginning(world, datasets()[name], [column], start, start + 60)
    bent = from_the_beginning(noisy(world, begin), datasets()[name], [column], start, start + 60)
    assert (~same_bits(honest, bent)).any()
    assert earliest(datasets()[name], start, world.calendar, [column]) < begin

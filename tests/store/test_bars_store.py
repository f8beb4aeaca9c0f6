import polars as pl
import pytest
import store_tables as tables
from polars.testing import assert_frame_equal

from bqx.base.errors import StoreError
from bqx.market.bars import BARS_SCHEMA, as_bars
from bqx.market.calendar import month_span
from bqx.store import ingest
from bqx.store.content import content_hash

JULY, AUGUST = month_span("2024_07")[0], month_span("2024_08")[0]
EVER = (0, 1 << 40)


def test_bars_come_back_as_they_went_in(store) -> None:
    frame = pl.concat([tables.bars("2024_07"), tables.bars("2024_08", rows=10)])
    result = store.bars.ingest("EUR/USD", frame, tables.SOURCE)
    assert (result.new, result.unchanged, result.corrected) == (3010, 0, 0)
    assert result.months == ("2024_07", "2024_08")
    got = store.bars.read(["eurusd", "gbpusd"], *EVER)
    assert_frame_equal(got["eurusd"], as_bars(frame))
    assert got["gbpusd"].is_empty() and dict(got["gbpusd"].schema) == BARS_SCHEMA
    assert store.bars.spans() == {"eurusd": (JULY, AUGUST + 9)}
    part = store.bars.read(["eurusd"], JULY + 2990, AUGUST + 2)["eurusd"]
    assert_frame_equal(part, as_bars(frame.slice(2990, 12)))


def test_ingesting_again_changes_nothing(store, known) -> None:
    frame = tables.bars("2024_07")
    store.bars.ingest("eurusd", frame, tables.SOURCE)
    before = known(store), sorted(store.root.rglob("*.parquet"))
    result = store.bars.ingest("eurusd", frame, tables.SOURCE)
    assert (result.new, result.unchanged, result.corrected, result.months) == (0, 3000, 0, ())
    assert (known(store), sorted(store.root.rglob("*.parquet"))) == before


def test_a_corrected_bar_is_a_new_version(store, known) -> None:
    frame = tables.bars("2024_07")
    store.bars.ingest("eurusd", frame, tables.SOURCE)
    then = known(store)
    days = store.bars.day_hashes(["eurusd"], *EVER)
    better = frame.with_columns(volume=pl.when(pl.int_range(pl.len()) == 2000).then(None).otherwise(pl.col("volume")))
    extra = tables.bars("2024_07", start=4000, rows=5)
    source = {**tables.SOURCE, "files": [["b.csv", "11ee", 13]]}
    result = store.bars.ingest("eurusd", pl.concat([better.slice(1990, 20), extra]), source)
    assert (result.new, result.unchanged, result.corrected, result.months) == (5, 19, 1, ("2024_07",))
    assert_frame_equal(store.bars.read(["eurusd"], *EVER)["eurusd"], as_bars(pl.concat([better, extra])))
    assert_frame_equal(store.bars.read(["eurusd"], *EVER, as_of=then)["eurusd"], as_bars(frame))
    after = store.bars.day_hashes(["eurusd"], *EVER)
    changed = {day for (_, day), digest in after.items() if days.get(("eurusd", day)) != digest}
    assert changed == {(JULY + 2000) // 1440, (JULY + 4000) // 1440}
    assert store.bars.day_hashes(["eurusd"], *EVER, as_of=then) == days
    assert store.bars.months()[0]["versions"] == 2
    assert [s["files"] for s in store.bars.sources()] == [[["a.csv", "00ff", 12]], [["b.csv", "11ee", 13]]]
    assert len(store.bars.sources(as_of=then)) == 1


def test_day_hashes_cover_the_days_a_span_touches(store) -> None:
    frame = tables.bars("2024_07", rows=4000)
    store.bars.ingest("eurusd", frame, tables.SOURCE)
    day = JULY // 1440
    got = store.bars.day_hashes(["eurusd", "gbpusd"], JULY + 1500, JULY + 2880)
    assert got == {("eurusd", day + 1): content_hash(as_bars(frame).slice(1440, 1440))}
    assert set(store.bars.day_hashes(["eurusd"], JULY + 1500, JULY + 2881)) == {
        ("eurusd", day + 1),
        ("eurusd", day + 2),
    }


def test_another_vendor_must_be_asked_for(store) -> None:
    store.bars.ingest("eurusd", tables.bars("2024_07", seed=1), tables.SOURCE)
    other = {**tables.SOURCE, "vendor": "rival"}
    with pytest.raises(StoreError, match="3000 minutes differ from bars of shop; these are from rival"):
        store.bars.ingest("eurusd", tables.bars("2024_07", seed=2), other)
    assert store.bars.ingest("eurusd", tables.bars("2024_07", seed=1), other).unchanged == 3000
    assert store.bars.ingest("eurusd", tables.bars("2024_07", seed=2), other, policy="newest").corrected == 3000


@pytest.mark.parametrize("change", [{"price_side": "bid"}, {"simulated": True}])
def test_price_sides_and_worlds_are_never_mixed_in_a_pair(store, change: dict[str, object]) -> None:
    store.bars.ingest("eurusd", tables.bars("2024_07"), tables.SOURCE)
    with pytest.raises(StoreError, match=r"never mixed|holds real bars"):
        store.bars.ingest("eurusd", tables.bars("2024_08"), {**tables.SOURCE, **change}, policy="newest")
    store.bars.ingest("gbpusd", tables.bars("2024_08"), {**tables.SOURCE, **change})
    assert store.bars.simulated() is ("simulated" in change)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: f.with_columns(high=pl.lit(float("inf"))), "column high has 0 NaN and 3000 infinite"),
        (lambda f: f.with_columns(open=pl.lit(None, pl.Float64)), "without prices"),
        (lambda f: pl.concat([f, f]), "must rise"),
    ],
)
def test_bad_bars_are_refused(store, spoil, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        store.bars.ingest("eurusd", spoil(tables.bars("2024_07")), tables.SOURCE)
    assert store.bars.spans() == {} and not list(store.root.rglob("*.parquet"))


def test_baselines_are_registered_once(store) -> None:
    store.bars.put_baseline("eurusd", 1, JULY, JULY + 3, 1.0712, "ab")
    store.bars.put_baseline("eurusd", 1, JULY, JULY + 3, 1.0712, "ab")
    with pytest.raises(StoreError, match="append-only"):
        store.bars.put_baseline("eurusd", 1, JULY, JULY + 3, 1.0713, "ab")
    store.bars.put_baseline("eurusd", 2, JULY - 9, JULY - 9, 1.06, "cd")
    got = store.bars.baselines()
    assert [(b.pair, b.epoch, b.t0, b.baseline_ts, b.baseline_mid) for b in got] == [
        ("eurusd", 1, JULY, JULY + 3, 1.0712),
        ("eurusd", 2, JULY - 9, JULY - 9, 1.06),
    ]


def test_no_bars_is_an_honest_nothing(store) -> None:
    assert store.bars.spans() == {} and store.bars.sources() == [] and store.bars.simulated() is False
    assert store.bars.ingest("eurusd", tables.bars("2024_07").head(0), tables.SOURCE).months == ()


def test_two_imports_of_a_month_at_once_lose_nothing(store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second import begins after the first has read the month and commits before it: the first must not win."""
    real, begun = ingest.write_table, []

    def slow(*args):
        if not begun:
            begun.append(True)
            store.bars.ingest("eurusd", tables.bars("2024_07", start=5000, rows=7), tables.SOURCE)
        return real(*args)

    monkeypatch.setattr(ingest, "write_table", slow)
    with pytest.raises(StoreError, match="another import changed this month"):
        store.bars.ingest("eurusd", tables.bars("2024_07"), tables.SOURCE)
    store.bars.ingest("eurusd", tables.bars("2024_07"), tables.SOURCE)
    assert store.bars.read(["eurusd"], *EVER)["eurusd"].height == 3007

"""Two sources of one pair: what each rule keeps, counts and records."""

from __future__ import annotations

import polars as pl
import pytest
import store_tables as tables
from polars.testing import assert_frame_equal

from bqx.base.errors import StoreError
from bqx.market.bars import as_bars

OTHER = {**tables.SOURCE, "vendor": "other"}
EVER = (0, 1 << 40)
OLD = pl.concat([as_bars(tables.bars("2024_07", rows=600)), as_bars(tables.bars("2024_08", rows=50))])


def shifted(frame: pl.DataFrame) -> pl.DataFrame:
    """Other values, so that a bar shows where it came from."""
    return as_bars(frame).with_columns(volume=pl.lit(-1.0))


NEW = pl.concat(
    [
        shifted(tables.bars("2024_07", start=500, rows=50)),
        shifted(tables.bars("2024_07", start=560, rows=80)),  # ten minutes are missing, forty are new
    ]
)


def stored(store) -> pl.DataFrame:
    return store.bars.read(["eurusd"], *EVER)["eurusd"]


def counts(result) -> tuple[int, ...]:
    return result.new, result.unchanged, result.corrected, result.kept, result.removed


def parts(frame: pl.DataFrame) -> tuple[int, int]:
    """Bars of the new source, and in all."""
    return int((frame["volume"] == -1.0).sum()), frame.height


@pytest.mark.parametrize(
    ("overlap", "want", "left"),
    [
        ("newest", (40, 0, 90, 0, 0), (130, 690)),
        ("keep", (40, 0, 0, 90, 0), (40, 690)),
        ("replace", (40, 0, 90, 0, 10), (130, 680)),
    ],
)
def test_each_rule(store, known, overlap: str, want: tuple[int, ...], left: tuple[int, int]) -> None:
    store.bars.ingest("eurusd", OLD, tables.SOURCE)
    then = known(store)
    result = store.bars.ingest("eurusd", NEW, {**OTHER, "overlap": overlap}, policy=overlap)
    assert (counts(result), result.months) == (want, ("2024_07",))
    got = stored(store)
    assert got["ts_utc"].is_sorted() and got["ts_utc"].is_unique().all()
    assert parts(got) == left
    if overlap == "keep":
        assert_frame_equal(got.join(OLD, on="ts_utc", how="semi"), OLD)
    assert_frame_equal(store.bars.read(["eurusd"], *EVER, as_of=then)["eurusd"], OLD)
    pieces = [(p["ym"], p["vendor"], p["overlap"]) for p in store.bars.pieces()]
    first = tables.SOURCE["vendor"]
    assert pieces == [("2024_07", first, None), ("2024_07", "other", overlap), ("2024_08", first, None)]
    again = store.bars.ingest("eurusd", NEW, {**OTHER, "overlap": overlap}, policy=overlap)
    assert again.months == ()
    assert_frame_equal(stored(store), got)


def test_refuse_is_the_default_and_changes_nothing(store, known) -> None:
    store.bars.ingest("eurusd", OLD, tables.SOURCE)
    before = known(store)
    with pytest.raises(StoreError, match="90 minutes differ"):
        store.bars.ingest("eurusd", NEW, OTHER)
    assert known(store) == before


def test_a_month_replaced_as_a_whole_names_its_new_source_only(store) -> None:
    store.bars.ingest("eurusd", OLD, tables.SOURCE)
    whole = shifted(tables.bars("2024_07", rows=700))
    store.bars.ingest("eurusd", whole, OTHER, policy="replace")
    assert [(p["ym"], p["vendor"]) for p in store.bars.pieces()] == [
        ("2024_07", "other"),
        ("2024_08", tables.SOURCE["vendor"]),
    ]


def test_a_month_without_new_bars_is_not_emptied(store) -> None:
    """The new source spans July to September and has nothing of August: August stays."""
    store.bars.ingest("eurusd", OLD, tables.SOURCE)
    new = pl.concat([shifted(tables.bars("2024_07", rows=600)), shifted(tables.bars("2024_09", rows=5))])
    result = store.bars.ingest("eurusd", new, OTHER, policy="replace")
    assert counts(result) == (5, 0, 600, 0, 0)
    assert parts(stored(store)) == (605, 655)

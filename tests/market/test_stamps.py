"""Times as vendors write them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from bqx.base.errors import InputError
from bqx.market.importers.stamps import guess_form, read_stamps
from bqx.market.importers.text import Text

TEXT = Text("a.csv", Path("a.csv"), "a.csv", b"", "", 0)
NOON = datetime(2024, 6, 6, 12)


def read(*words: str, form: str | None = None) -> tuple[list[datetime], set[str]]:
    frame = pl.DataFrame({"line": range(1, len(words) + 1), "t": words}, schema_overrides={"line": pl.Int64})
    stamp, offsets = read_stamps(TEXT, frame, pl.col("t"), form or guess_form(words[0]) or "")
    return stamp.to_list(), offsets


@pytest.mark.parametrize(
    ("word", "offset"),
    [
        ("2024-06-06 12:00", ""),
        ("2024-06-06T12:00:00", ""),
        ("2024-06-06T12:00:00Z", "Z"),
        ("2024-06-06 12:00:00.000 UTC", "UTC"),
        ("2024.06.06 14:00:00+02:00", "+02:00"),
        ("2024/06/06 07:00 -05:00", "-05:00"),
        ("06.06.2024 07:00:00.000 GMT-0500", "GMT-0500"),
        ("06.06.2024 17:30:00.000 GMT+0530", "GMT+0530"),
        ("20240606 120000", ""),
        ("1717675200", "epoch"),
        ("1717675200000", "epoch"),
    ],
)
def test_forms_and_offsets(word: str, offset: str) -> None:
    assert read(word, word) == ([NOON, NOON], {offset} - {""})


def test_rows_with_different_offsets() -> None:
    """As local times over the end of summer time."""
    words = ("2024-06-06 14:00+02:00", "2024-06-06 13:00+01:00", "2024-06-06 07:00-05:00", "2024-06-06 12:00Z")
    assert read(*words) == ([NOON] * 4, {"+02:00", "+01:00", "-05:00", "Z"})


@pytest.mark.parametrize("word", ["06/07/2024 12:00", "06-07-2024 12:00", "2024-06-06", "noon", "12:00", "171767520"])
def test_what_leaves_doubt_is_not_guessed(word: str) -> None:
    assert guess_form(word) is None


@pytest.mark.parametrize(
    "word", ["2024-06-31 12:00", "2024-06-06 12:00 CET", "2024-06-06 25:00", "", "2024-06-06 12:00+99:00"]
)
def test_the_row_that_is_no_time_is_named(word: str) -> None:
    with pytest.raises(InputError) as caught:
        read("2024-06-06 12:00", word)
    assert caught.value.where == "a.csv:2"

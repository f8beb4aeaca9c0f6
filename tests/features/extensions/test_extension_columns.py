"""The extensions that the shared list of columns has are declared as it says."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from bqx.features.catalogue import extensions

SHARED = Path(__file__).parents[4] / "shared" / "specs" / "columns.csv"


@pytest.mark.real_data
def test_agrees_with_the_specification() -> None:
    """The same columns and units in the same order, none of them counted."""
    if not SHARED.exists():
        pytest.skip("../shared/specs/columns.csv is not here")
    with SHARED.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    for name, home in extensions().items():
        listed = [(r["column"], r["unit"]) for r in rows if r["dataset"] == name]
        assert all(r["counted"] == "0" for r in rows if r["dataset"] == name)
        assert not listed or [(c.name, c.unit) for c in home.columns][: len(listed)] == listed

"""Pages about features: every column is on them, what is drawn is what the code computes today."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from bqx.features.catalogue import own_datasets
from bqx.ops.catalogue_page import catalogue_page
from bqx.ops.family_page import families, family_page, index_page
from bqx.ops.family_plot import chosen, plot_mark, plot_values

DOCS = Path(__file__).parents[2] / "docs"
HOMES = list(own_datasets().values())


@pytest.mark.parametrize("home", HOMES, ids=lambda h: h.name)
def test_plot_shows_todays_values(home) -> None:
    values = plot_values(home)
    assert list(values) == chosen(home)
    assert all(np.isfinite(v).sum() > 500 for v in values.values()), "a plot of nothing"
    drawn = (DOCS / "features" / "plots" / f"{home.name}.svg").read_text(encoding="utf-8")
    assert plot_mark(values) in drawn, "run `make docs`"
    first = next(iter(values))
    moved = {**values, first: values[first] * np.float32(1.0001)}
    assert plot_mark(moved) not in drawn


def test_every_column_is_on_its_page() -> None:
    costs = {("technical_rate", "rsi_14"): {"compute_ns": 12.34, "bytes": 3.21}}
    for family, members in families(HOMES).items():
        text = family_page(family, members, costs)
        for home in members:
            rows = re.findall(r"^\| `(\w+)` \|", text.split(f"## {home.name}\n")[1].split("\n## ")[0], re.M)
            assert rows == [c.name for c in home.columns]
    assert "| 12.3 | 3.21 |" in family_page("technical", [own_datasets()["technical_rate"]], costs)
    assert f"[{HOMES[0].family}](features/{HOMES[0].family}.md)" in index_page(HOMES)


class _Page(HTMLParser):
    """Collects table rows and what the page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = 0
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.rows += tag == "tr" and "data-d" in known
        self.loads += [str(known["src"])] if "src" in known else []
        self.loads += [str(known["href"])] if tag == "link" else []


def test_catalogue_page_lists_all_and_loads_nothing() -> None:
    page = _Page()
    page.feed(catalogue_page(HOMES, {}))
    assert page.rows == sum(len(home.columns) for home in HOMES)
    assert page.loads == []

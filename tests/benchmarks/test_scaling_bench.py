"""The laws of scaling are fitted right, measured on real builds, and the page extrapolates by them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import scaling, scaling_page
from bqx.market.pairs import PAIRS


def test_a_line_and_a_power_are_found() -> None:
    line = scaling.fit([1, 2, 4, 6], [3.5, 5.5, 9.5, 13.5])
    assert (line["fixed"], line["each"], line["worst"]) == (1.5, 2.0, 0.0)
    assert scaling.fit([2, 4, 8, 16], [4, 16, 64, 256])["exponent"] == 2.0
    assert scaling.fit([2, 4, 8, 16], [4, 16, 64, 256])["worst"] > 0.5, "a square is no line"


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    sizes = scaling.Sizes((1,), (1, 2), (1, 2), (1, 2), PAIRS[:1], PAIRS[:2], ("time_dual", "ohlc_rate"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scaling, "apart", lambda **options: scaling.worker(options))
        patch.setattr(scaling, "fit", lambda sizes, seconds: {"fixed": 0.5, "each": 2.0, "worst": 0.1, "exponent": 1.0})
        return scaling.measure(tmp_path_factory.mktemp("scaling"), sizes)


def test_sizes_are_built(result: dict[str, Any]) -> None:
    pairs = result["laws"]["pairs"]["sizes"]
    assert [r["size"] for r in pairs] == [1, 2] and pairs[1]["values"] == 2 * pairs[0]["values"]
    assert [r["size"] for r in result["laws"]["columns"]["sizes"]] == [10, 20]
    assert all(r["core_seconds"] > 0 and r["partitions"] for law in result["laws"].values() for r in law["sizes"])


def test_the_page_extrapolates(result: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "scaling.json").write_text(json.dumps(result))
    assert "Needs `make soak CHECK=full-year`" in scaling_page.page(tmp_path)
    head = {k: result[k] for k in ("commit", "date", "machine", "load_average")}
    year = {**head, "months": 12, "core_seconds": 3600.0, "bytes": 5e10, "partitions": 12_096, "values": 13e9,
            "again": {"seconds": 2.0}, "wall_seconds": 1900.0}  # fmt: skip
    (tmp_path / "full-year.json").write_text(json.dumps(year))
    lines = scaling_page.page(tmp_path).splitlines()
    (ten,) = [line for line in lines if line.startswith("| 10 years")]
    # (0.5 + 2 x 120) / (0.5 + 2 x 12) of an hour; ten times the bytes, partitions and planning
    assert f"| {240.5 / 24.5:.2f} |" in ten and "| 0.50 | 120,960 | 20 |" in ten


def test_growth_of_a_proportional_law() -> None:
    assert scaling_page.growth({"fixed": 0.0, "each": 3.0}, 2, 10) == 5.0
    assert scaling_page.growth({"fixed": -9.0, "each": 3.0}, 2, 10) == 5.0, "no seconds below nothing"

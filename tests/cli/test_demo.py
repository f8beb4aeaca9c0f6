"""`bqx demo`: the page says what the store holds, in three forms that agree; failures leave nothing behind."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from bqx.cli.main import main
from bqx.features.catalogue import datasets
from few_datasets import FEW, few

PAIRS = "eurusd,usdjpy"


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


def bqx(*words: str) -> Ran:
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(list(words))
        except SystemExit as done:
            code = int(done.code or 0)
    return Ran(code, out.getvalue(), err.getvalue())


class Page(HTMLParser):
    """Cells of the tables and of the headline values, in order, and the text of everything."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.values: list[str] = []
        self.text = ""
        self._into: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag == "tbody":
            self.tables.append([])
        elif tag == "tr" and self.tables:
            self.tables[-1].append([])
        if tag in ("td", "dd"):
            self._into = ["", tag]

    def handle_endtag(self, tag: str) -> None:
        if tag == "td":
            self.tables[-1][-1].append(self._into[0])
        elif tag == "dd":
            self.values.append(self._into[0])
        if tag in ("td", "dd"):
            self._into = []

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._into:
            self._into[0] += data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def ran(folder: Path) -> Ran:
    return bqx("demo", "--out", str(folder), "--pairs", PAIRS, "--json")


@pytest.fixture(scope="module")
def result(ran: Ran) -> dict[str, Any]:
    assert ran.code == 0, ran.err
    data: dict[str, Any] = json.loads(ran.out)
    return data


@pytest.fixture(scope="module")
def html(folder: Path, result: Mapping[str, Any]) -> str:
    return (folder / "demo.html").read_text()


@pytest.fixture(scope="module")
def document(folder: Path, result: Mapping[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder / "demo.json").read_text())
    return data


def agrees(shown: str, cell: Any) -> bool:
    """Whether a cell of the page is the JSON cell, to the digits shown."""
    if not isinstance(cell, dict):
        return isinstance(cell, int | float) or shown == str(cell)
    if cell["value"] is None:
        return shown == f"n/a ({cell['reason']})"
    number = re.match(r"[\N{MINUS SIGN}\d,.]+", shown)
    assert number is not None, shown
    text = number.group().replace("\N{MINUS SIGN}", "-").replace(",", "")
    digits = len(text.partition(".")[2])
    return abs(float(text) - cell["value"]) <= 0.5000001 * 10.0**-digits


def test_numbers_of_page_and_json_agree(html: str, document: Mapping[str, Any]) -> None:
    page = Page(html)
    tables = [b for b in document["blocks"] if b["kind"] == "table"]
    values = [item["cell"] for b in document["blocks"] if b["kind"] == "values" for item in b["items"]]
    page.tables = [[row for row in table if row] for table in page.tables]
    assert [len(t) for t in page.tables] == [len(t["rows"]) for t in tables]
    pairs = [
        *zip(page.values, values, strict=True),
        *(
            (shown, cell)
            for a, b in zip(page.tables, tables, strict=True)
            for x, y in zip(a, b["rows"], strict=True)
            for shown, cell in zip(x, y, strict=True)
        ),
    ]
    assert [p for p in pairs if not agrees(*p)] == []
    assert sum(isinstance(cell, dict) for _, cell in pairs) > 100


def test_every_number_names_its_run(document: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    numbers = [c for b in document["blocks"] if b["kind"] == "table" for row in b["rows"] for c in row]
    numbers = [c for c in numbers if isinstance(c, dict)]
    assert numbers
    assert {c["run_id"] for c in numbers} == {result["run_id"]}
    assert all(c["how"] for c in numbers)


def test_values_are_those_of_the_files(folder: Path, result: Mapping[str, Any], document: Mapping[str, Any]) -> None:
    cells: dict[str, int] = {}
    known: dict[str, int] = {}
    for path in (folder / "project" / "lake").rglob("*.parquet"):
        dataset = path.relative_to(folder / "project" / "lake").parts[0]
        frame = pl.read_parquet(path).drop("ts_utc")
        cells[dataset] = cells.get(dataset, 0) + frame.height * frame.width
        known[dataset] = known.get(dataset, 0) + sum(frame.height - n for n in frame.null_count().row(0))
    assert (result["values"], result["non_null"]) == (sum(cells.values()), sum(known.values()))
    assert result["verification"]["values"] == sum(cells.values())
    table = next(b for b in document["blocks"] if b.get("caption") == "What the store holds")
    shown = {row[0]: (row[4]["value"], row[5]["value"], row[6]["value"]) for row in table["rows"]}
    assert shown == {d: (cells[d], known[d], pytest.approx(100 * known[d] / cells[d])) for d in cells}
    assert result["bars"] == sum(
        pl.scan_parquet(p).select(pl.len()).collect().item() for p in (folder / "project" / "bars").rglob("*.parquet")
    )


def test_skill_on_the_page_is_the_answers(document: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    table = next(b for b in document["blocks"] if b["kind"] == "table" and "skill, %" in b["columns"])
    at = {name: k for k, name in enumerate(table["columns"])}
    rows = [*result["answer"]["horizons"], result["answer"]["pooled"]]
    for shown, skill in zip(table["rows"], rows, strict=True):
        for name, key in (("skill, %", "skill"), ("95 % from", "low"), ("to", "high"), ("noise to", "noise_95")):
            assert shown[at[name]]["value"] == pytest.approx(100 * skill[key])
        assert shown[at["rows"]]["value"] == skill["n_rows"] >= 500


def test_says_simulated_and_no_demonstrated_skill(folder: Path, html: str, ran: Ran, document: Any) -> None:
    markdown = (folder / "demo.md").read_text()
    result = json.loads(ran.out)
    assert result["simulated"] is True
    assert document["banner"] == "SIMULATED DATA"
    assert result["verdict"].startswith("no demonstrated skill")
    for text in (Page(html).text, markdown, json.dumps(document)):
        assert "SIMULATED DATA" in text
        assert result["verdict"][1:] in text.replace("\N{MINUS SIGN}", "-")
    assert html.count(">simulated data<") == 3, "each drawing says so too"


def test_page_loads_nothing(html: str) -> None:
    outside = [u for u in re.findall(r"https?://[^\s\"'<>)]*", html) if u not in ("http://www.w3.org/2000/svg",)]
    assert [u for u in outside if u != "http://www.w3.org/1999/xlink"] == []
    assert re.findall(r"(?:src|href)\s*=\s*[\"'](?!#)", html) == []
    assert "<script" not in html
    assert html.count("<svg") == 3
    assert len(html) < 1_000_000


def test_again_builds_nothing_and_gives_the_same_store(
    folder: Path, result: Mapping[str, Any], document: Mapping[str, Any]
) -> None:
    again = bqx("demo", "--out", str(folder), "--pairs", PAIRS)
    assert again.code == 0, again.err
    assert again.out.splitlines()[-2] == f"page: {folder / 'demo.html'}"
    assert again.out.splitlines()[-1] == f"SIMULATED DATA: {result['verdict']}"
    assert re.search(rf"^build .* 0 values in 0 partitions, {2 * len(datasets())} were fresh$", again.out, re.M)
    second = json.loads((folder / "demo.json").read_text())
    assert fact(second, "store contents, hash") == fact(document, "store contents, hash")
    assert fact(second, "catalogue and code, hash") == fact(document, "catalogue and code, hash")


def fact(document: Mapping[str, Any], label: str) -> Any:
    items = [i for b in document["blocks"] if b["kind"] == "values" for i in b["items"]]
    return next(i["cell"] for i in items if i["label"] == label)


def test_other_bars_in_the_same_folder_are_refused(folder: Path, result: Mapping[str, Any]) -> None:
    assert bqx("demo", "--out", str(folder), "--pairs", PAIRS, "--seed", "2").code == 2
    other = bqx("demo", "--out", str(folder), "--pairs", "eurusd")
    assert (other.code, "another --out" in other.err) == (2, True)


def test_planted_is_labelled_a_month_less_skips_and_the_project_can_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bqx.build.project.datasets", few)
    words = ["demo", "--out", str(tmp_path), "--pairs", "eurusd", "--flavour", "planted", "--json"]
    two = json.loads(bqx(*words, "--months", "2").out)
    assert (two["months"], two["build"]["built"]) == (["2024_07", "2024_08"], 2 * len(FEW))
    one = json.loads(bqx(*words, "--months", "1", "--no-keep").out)
    assert (one["months"], one["build"]["built"]) == (["2024_07"], 0)
    assert one["values"] < two["values"]
    assert "SIMULATED DATA with a planted effect" in (tmp_path / "demo.html").read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["demo.html", "demo.json", "demo.md"]


def test_too_few_bars_are_said_in_words(tmp_path: Path, small_frames: Mapping[str, pl.DataFrame]) -> None:
    bars = small_frames["eurusd"].head(4000)
    file = tmp_path / "EURUSD_M1.csv"
    columns = [
        pl.col("ts_utc").dt.strftime("%Y-%m-%d %H:%M"),
        "open",
        "high",
        "low",
        "close",
        pl.col("volume").cast(pl.Int64),
    ]
    weekend = small_frames["eurusd"].slice(4000, 6000)
    pl.concat([bars, weekend]).select(columns).write_csv(file, include_header=False)
    ran = bqx("demo", "--out", str(tmp_path / "out"), "--bars", str(file), "--json")
    assert ran.code == 0, ran.err
    result = json.loads(ran.out)
    assert result["answer"] is None
    assert result["simulated"] is False
    assert result["verdict"].startswith("no answer: an answer needs ")
    html = (tmp_path / "out" / "demo.html").read_text()
    assert "SIMULATED" not in html.upper()
    assert "No skill was measured" in html
    assert result["verdict"][1:] in Page(html).text


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--bars", "{junk}"], 4),
        (["--bars", "{absent}"], 4),
        (["--bars", "{junk}", "--pairs", "eurusd"], 2),
        (["--pair", "eurusd"], 2),
        (["--pairs", "eurxxx"], 2),
        (["--months", "0"], 2),
        (["--flavour", "wild"], 2),
    ],
)
def test_unusable_input_is_refused_and_leaves_nothing(tmp_path: Path, words: list[str], code: int) -> None:
    junk = tmp_path / "EURUSD.csv"
    junk.write_bytes(bytes(range(256)) * 20)
    names = {"junk": junk, "absent": tmp_path / "absent.csv"}
    out = tmp_path / "out"
    ran = bqx("demo", "--out", str(out), *(word.format(**names) for word in words))
    assert ran.code == code, ran.err
    assert ran.err
    assert not (out / "demo.html").exists()
    assert not (out / "project").exists()

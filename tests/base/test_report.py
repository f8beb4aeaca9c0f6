import json
import math
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bqx.base.errors import CheckError, SecretLeak
from bqx.base.provenance import Number, Source, computed, plain_number
from bqx.base.redaction import register
from bqx.base.report import Badge, Figure, Heading, KeyValues, Note, Report, Table, Text
from bqx.base.report_html import safe_svg

WORD = "report" + "-canary-word"
SVG = (
    '<?xml version="1.0"?><!DOCTYPE svg PUBLIC "x" "http://www.w3.org/dtd"><svg xmlns="http://www.w3.org/2000/svg">'
    '<metadata><a href="http://purl.org"/></metadata><defs><clipPath id="c1"/></defs>'
    '<g id="g" clip-path="url(#c1)"><use href="#g"/><text>EURUSD</text></g></svg>'
)


def report(**kwargs: str) -> Report:
    made = Report(
        "All & sundry", "A <b>subtitle</b>", run_id="run-1", made_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC), **kwargs
    )
    return made.add(
        KeyValues([("Bars", computed(1234567, "", "count of rows")), ("Verdict", Badge("stale", "bad"))]),
        Heading("First"),
        Text("Use `a < b` here."),
        Table(
            ["Pair", "Skill", "Seen"],
            [["eur|usd", -0.0123, True], ["gbpusd", computed(None, "bp", "mean", reason="no volume"), False]],
            "Skill by pair",
        ),
        Note("Careful.", "warn"),
        Figure(SVG, "A price", "a line"),
        Heading("Second"),
        Heading("Third"),
    )


class Strict(HTMLParser):
    """Collects text and checks that tags nest."""

    VOID = frozenset({"meta", "br", "img", "hr", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [str(value) for key, value in attrs if key == "id"]
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.stack[-1:] != ["style"]:
            self.words.append(data)


def test_html_is_one_well_formed_page_that_loads_nothing() -> None:
    page = report(banner="SIMULATED DATA").html()
    parser = Strict()
    parser.feed(page)
    assert parser.stack == []
    assert len(parser.ids) == len(set(parser.ids))
    text = " ".join(" ".join(parser.words).split())
    for part in (
        "SIMULATED DATA",
        "All & sundry",
        "A <b>subtitle</b>",
        "1,234,567",
        "−0.01230",
        "n/a (no volume)",
        "run-1",
    ):
        assert part in text
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)
    assert not re.search(r"<(?:script|link|img|iframe)\b|@import|url\((?!#fig)", page)
    assert 'title="count of rows (run ' in page
    assert page.count('class="right"') == 3  # a head and two cells of the number column
    assert 'clip-path="url(#fig5-c1)"' in page
    assert 'href="#fig5-g"' in page


def test_no_banner_no_bar() -> None:
    assert '<div class="banner"' not in report().html()


def test_markdown() -> None:
    text = report(banner="SIMULATED DATA").markdown()
    assert "> **SIMULATED DATA**" in text
    assert "| Pair | Skill | Seen |\n|---|---:|---|\n| eur\\|usd | -0.01230 | yes |" in text
    assert "| gbpusd | n/a (no volume) | no |" in text
    assert text.count("\n## ") == 3


def test_json_keeps_values_units_and_sources() -> None:
    data = json.loads(json.dumps(report(banner="SIMULATED DATA").as_dict(), allow_nan=False))
    assert (data["format"], data["banner"], data["run_id"]) == (1, "SIMULATED DATA", "run-1")
    bars = data["blocks"][0]["items"][0]["cell"]
    assert (bars["value"], bars["how"]) == (1234567, "count of rows")
    rows = data["blocks"][3]["rows"]
    assert rows[0] == ["eur|usd", -0.0123, True]
    assert rows[1][1]["value"] is None
    assert rows[1][1]["reason"] == "no volume"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_without_a_value_need_a_reason(value: float) -> None:
    with pytest.raises(CheckError, match="without a reason"):
        computed(value, "bp", "mean")
    with pytest.raises(CheckError, match="without a reason"):
        computed(None, "bp", "mean")
    with pytest.raises(CheckError, match="row 1, column 'x'"):
        Report("t").add(Table(["x"], [[value]]))
    with pytest.raises(CheckError, match="value 'x'"):
        Report("t").add(KeyValues([("x", value)]))
    assert computed(value, "bp", "mean", reason="flat").text() == "n/a (flat)"


def test_wrong_tables() -> None:
    with pytest.raises(CheckError, match="row 2 has 1 cells"):
        Report("t").add(Table(["a", "b"], [[1, 2], [1]]))
    with pytest.raises(CheckError, match="NoneType"):
        Report("t").add(Table(["a"], [[None]]))  # type: ignore[list-item]


def test_sums_that_fail_block_publication() -> None:
    sheet = Report("Counts")
    sheet.require_sum("columns", [1080, 184], 1264)
    with pytest.raises(CheckError, match="add up to 1,265"):
        sheet.require_sum("columns", [1080, 185], 1264)
    with pytest.raises(CheckError):
        sheet.require_sum("columns", [math.nan], 1264)


def test_reports_are_redacted_and_fail_closed(tmp_path: Path) -> None:
    register(WORD)
    paths = (
        Report("About " + WORD, WORD)
        .add(
            Heading(WORD),
            Text(f"`{WORD}` password=abcdef"),
            Note(WORD),
            Table([WORD], [[WORD]], WORD),
            KeyValues([(WORD, computed(1, "", WORD)), ("x", Badge(WORD))]),
            Figure(f"<svg><text>{WORD}</text></svg>", WORD, WORD),
        )
        .write(tmp_path)
    )
    assert [p.name for p in paths] == ["report.html", "report.md", "report.json"]
    for path in paths:
        assert WORD not in path.read_text()
        assert "abcdef" not in path.read_text()
    # a value that comes together only in the finished page is not masked by part, so nothing may be written
    register("one</text><text>two")
    split = Report("t").add(Figure("<svg><text>one</text><text>two</text></svg>", "", ""))
    split.blocks.append(Figure("<svg><text>one</text>" + "<text>two</text></svg>", "", ""))
    register("</h1>\n")
    with pytest.raises(SecretLeak, match="registered-value"):
        split.write(tmp_path / "second")
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize(
    "inside",
    [
        "<script>1</script>",
        '<g onclick="x()"/>',
        '<image href="http://x/y.png"/>',
        '<use xlink:href="file:///etc/passwd"/>',
        '<style>@import "x.css"</style>',
        '<g style="fill:url(http://x)"/>',
        "<foreignObject/>",
    ],
)
def test_figures_cannot_act_or_load(inside: str) -> None:
    with pytest.raises(CheckError, match="figure"):
        safe_svg(f"<svg>{inside}</svg>", "f")


def test_matplotlib_drawings_pass() -> None:
    import io

    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib.figure import Figure as Drawing

    drawing = Drawing(figsize=(3, 2))
    drawing.add_subplot().plot([1, 2, 3])
    out = io.StringIO()
    drawing.savefig(out, format="svg")
    assert safe_svg(out.getvalue(), "f").startswith("<svg")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (12, "12"),
        (-1234567, "-1,234,567"),
        (12.0, "12"),
        (0.01234567, "0.01235"),
        (123.4567, "123.5"),
        (98765.4, "98,765"),
        (1.5e-7, "1.500e-07"),
        (2.5e12 + 0.5, "2.500e+12"),
    ],
)
def test_plain_numbers(value: float, shown: str) -> None:
    assert plain_number(value) == shown


def test_number_text() -> None:
    source = Source("r", "h")
    assert Number(99.123, "%", source, digits=1).text() == "99.1%"
    assert Number(12.5, "bp", source).text() == "12.50 bp"
    assert str(source) == "h (run r)"

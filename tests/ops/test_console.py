"""The console: read-only, on loopback, no console error, by keyboard, light and dark, quick with all partitions.

With BQX_SCREENSHOTS=1 the pictures in docs/images are written anew.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live_state import write_state
from playwright.sync_api import Browser, Page

from bqx.base.errors import ConsoleError
from bqx.build.project import Project
from bqx.features.catalogue import own_datasets
from bqx.market.calendar import month_span, months_between
from bqx.market.pairs import PAIRS
from bqx.ops.console.heat import make_heat
from bqx.ops.console.pages import PAGES
from bqx.ops.console.server import Console
from chromium_browser import chromium

IMAGES = Path(__file__).parents[2] / "docs" / "images"
MORE = (
    "catalogue/returns_std_bqx?pair=usdjpy&column=retz_60",
    "stage/1.7.3",
    "stage/3.6.5",
    "reports/stages/stage-1-7-3.html",
)
MONTHS = months_between(month_span("2024_07")[0], month_span("2025_07")[0])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def served(staged: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    root = tmp_path_factory.mktemp("served") / "p"
    shutil.copytree(staged, root)
    write_state(root)
    project = Project.open(root)
    console = Console(project).start()
    yield root, console.url
    console.close()
    project.close()


class Watched:
    """A page that keeps what went wrong on it."""

    def __init__(self, browser: Browser, url: str, scheme: str = "light") -> None:
        context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
        self.page: Page = context.new_page()
        self.url, self.wrong, self.asked = url, [], []
        self.page.on("console", lambda m: self.wrong.append(f"{m.type}: {m.text}"))
        self.page.on("pageerror", lambda e: self.wrong.append(str(e)))
        self.page.on("requestfailed", lambda r: self.wrong.append(f"failed: {r.url}"))
        self.page.on("request", lambda r: self.asked.append(r.url))

    def go(self, path: str) -> Page:
        found = self.page.goto(self.url + path)
        assert found is not None
        assert found.status == 200, path
        return self.page


@pytest.fixture
def watched(browser: Browser, served: tuple[Path, str]) -> Iterator[Watched]:
    found = Watched(browser, served[1])
    yield found
    found.page.context.close()
    assert found.wrong == [], "nothing may be said on the browser's console"
    assert all(url.startswith((served[1], "data:")) for url in found.asked), "nothing from elsewhere"


def test_every_page_in_light_and_dark(browser: Browser, served: tuple[Path, str]) -> None:
    grounds = {}
    for scheme in ("light", "dark"):
        found = Watched(browser, served[1], scheme)
        for name in (*PAGES, *MORE):
            page = found.go(name)
            if name in PAGES:
                assert page.locator("nav a[aria-current]").inner_text().startswith(PAGES[name])
                assert page.locator("h1").count() == 1
                assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"{name} is too wide"
                if scheme == "light" or name in ("board", "coverage"):
                    _picture(page, f"console-{name}{'-dark' if scheme == 'dark' else ''}")
            assert "SIMULATED DATA" in page.locator(".banner").inner_text()
        grounds[scheme] = found.go("board").evaluate("getComputedStyle(document.body).backgroundColor")
        assert found.wrong == []
        assert all(url.startswith((served[1], "data:")) for url in found.asked)
        found.page.context.close()
    assert grounds == {"light": "rgb(251, 250, 248)", "dark": "rgb(20, 23, 26)"}


def _picture(page: Page, name: str) -> None:
    """A screenshot; it is kept in docs only when asked for, so that a test leaves the tree as it was."""
    data = page.screenshot(type="png")
    assert len(data) > 10_000
    if os.environ.get("BQX_SCREENSHOTS"):
        IMAGES.mkdir(exist_ok=True)
        (IMAGES / f"{name}.png").write_bytes(data)


def test_pictures_are_in_the_docs() -> None:
    for name in (*PAGES, "board-dark", "coverage-dark"):
        path = IMAGES / f"console-{name}.png"
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n", name
        assert path.stat().st_size < 200_000


def test_the_board_says_what_the_stages_are(watched: Watched) -> None:
    page = watched.go("board")
    lanes = {lane.locator("h2").inner_text(): lane.inner_text() for lane in page.locator(".lane").all()}
    assert [re.sub(r" \(\d+\)", "", name) for name in lanes] == [
        "defined",
        "schema",
        "populated",
        "validated",
        "in model",
    ]
    assert "1.7.3 Returns" in next(text for name, text in lanes.items() if name.startswith("validated"))
    schema = next(text for name, text in lanes.items() if name.startswith("schema"))
    assert "1.6.16 Correlation IDX" in schema
    assert "not computable" in schema
    page.locator(".card", has_text="1.7.3").click()
    assert page.locator("h1").inner_text() == "1.7.3 Returns"
    page.get_by_role("link", name="published").click()
    assert page.locator("h1").inner_text() == "Stage 1.7.3: Returns"


def test_keys(watched: Watched) -> None:
    page = watched.go("board")
    page.keyboard.press("4")
    page.wait_for_url("**/catalogue")
    page.keyboard.press("/")
    page.keyboard.type("retz bqx 60")
    shown = page.locator("tbody tr:visible")
    assert 1 <= shown.count() < 10
    assert all("retz" in row.inner_text() and "bqx" in row.inner_text() for row in shown.all())
    assert (
        page.locator("#shown").inner_text()
        == f"{shown.count()} of {sum(len(h.columns) for h in own_datasets().values()):,} columns"
    )
    page.keyboard.press("Escape")
    page.keyboard.press("3")
    page.wait_for_url("**/coverage")
    page.locator("#heat").focus()
    page.keyboard.press("ArrowRight")
    first = page.locator("#said").inner_text()
    assert re.fullmatch(r"time_dual_eurusd_2024_06: [\d,]+ rows, 100\.0 % not NULL", first)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    assert page.locator("#said").inner_text().startswith("returns_raw_rate_usdjpy_2024_07: ")
    page.keyboard.press("Enter")
    page.wait_for_url("**/catalogue/returns_raw_rate?pair=usdjpy&month=2024_07")
    assert page.locator("svg.line path").count() >= 1
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()


def test_the_theme_can_be_chosen_and_is_kept(watched: Watched) -> None:
    page = watched.go("board")
    page.locator("#theme").click()
    page.locator("#theme").click()
    assert page.locator("#theme").inner_text() == "theme: dark"
    assert watched.go("runs").evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"


def test_a_plot_is_of_the_store(watched: Watched, served: tuple[Path, str]) -> None:
    page = watched.go("catalogue/returns_raw_rate?pair=eurusd&month=2024_07&column=ret_1")
    assert page.locator("figcaption").all_inner_texts() == ["ret_1 bps"]
    project = Project.open(served[0])
    last = max(i.last_minute for i in project.store.partitions(dataset="returns_raw_rate", pair="eurusd")) + 1
    values = project.store.read(["returns_raw_rate"], ["eurusd"], (last - 48 * 60, last), ["ret_1"]).collect()["ret_1"]
    project.close()
    ticks = [float(text) for text in page.locator("svg.line text").all_text_contents()]
    assert ticks == pytest.approx([values.max(), values.min()], rel=1e-3)


def ask(url: str, path: str, method: str = "GET", host: str | None = None) -> tuple[int, dict[str, str], str]:
    address = url.split("/")[2]
    connection = http.client.HTTPConnection(address, timeout=30)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or address)
    connection.endheaders()
    found = connection.getresponse()
    out = found.status, dict(found.getheaders()), found.read().decode()
    connection.close()
    return out


def test_it_only_reads_and_only_here(served: tuple[Path, str]) -> None:
    root, url = served
    before = _files(root)
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert ask(url, "/board", method)[0] == 405
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example:8765", ""):
        assert ask(url, "/board", host=host or " ")[0] == 421
    for path in ("/reports/../bqx.toml", "/reports/%2e%2e/plan.sqlite", "/nothing", "/stage/9.9", "/board/x",
                 "/catalogue/none", "/reports/stages", "/stage/"):  # fmt: skip
        assert ask(url, path)[0] == 404, path
    status, headers, body = ask(url, "/<script>alert(1)</script>")
    assert status == 404
    assert "<script>alert" not in body
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert ask(url, "/board", "HEAD")[2] == ""
    for name in PAGES:
        assert ask(url, f"/{name}")[0] == 200
    assert _files(root) == before, "looking changes nothing"
    assert url.startswith("http://127.0.0.1:")


def _files(root: Path) -> dict[str, str]:
    """Contents of all files but SQLite's side files."""
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob("*"))
        if p.is_file() and not p.name.endswith(("-wal", "-shm"))
    }


def test_a_taken_port_is_said(served: tuple[Path, str]) -> None:
    project = Project.open(served[0])
    with pytest.raises(ConsoleError, match="is taken"):
        Console(project, int(served[1].rsplit(":", 1)[1].strip("/")))
    project.close()


def test_a_project_in_which_nothing_was_run(unstaged: Path, tmp_path: Path) -> None:
    root = tmp_path / "p"
    shutil.copytree(unstaged, root)
    project = Project.open(root)
    console = Console(project).start()
    for name in (*PAGES, "catalogue/time_dual", "stage/1.6.10"):
        assert ask(console.url, f"/{name}")[0] == 200, name
    console.close()
    project.close()
    assert not (root / "plan.sqlite").exists()


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A manifest of 35 datasets x 28 pairs x 12 months, with NULL counts of all their columns; no files behind it."""
    project = Project.create(tmp_path_factory.mktemp("full") / "p", name="a year of 28 pairs")
    homes = [h for h in own_datasets().values() if h.name != "base_bqx"]
    with project.manifest.transaction() as con:
        con.execute("INSERT INTO change VALUES (1, 'test')")
        con.execute("INSERT INTO file VALUES (1, 'lake/none.parquet', 1, 'x', '[]')")
        key = 0
        for number, home in enumerate(homes, start=1):
            con.execute("INSERT INTO dataset VALUES (?, ?)", (number, home.name))
            for at, pair in enumerate(PAIRS):
                for month, ym in enumerate(MONTHS):
                    key += 1
                    nulls = json.dumps({c.name: (number * 700 + at * 13 + month) % 30000 for c in home.columns})
                    con.execute("INSERT INTO partition VALUES (?, ?, ?, ?)", (key, number, pair, ym))
                    con.execute("INSERT INTO generation VALUES (?, ?, 1, NULL, 1)", (key, key))
                    piece = (key, 0, 1, 1, "month", 0, 30000, 0, 30000, 30000, "t", "c", "i", "v", nulls)
                    con.execute(f"INSERT INTO piece VALUES ({', '.join('?' * 15)})", piece)
    yield project
    project.close()


def _busy() -> float:
    """How much longer than its own work a piece of work takes now, for want of a free core."""
    wall, cpu = time.perf_counter(), time.process_time()
    while time.process_time() - cpu < 0.1:
        pass
    return max(1.0, (time.perf_counter() - wall) / 0.1)


def test_a_year_of_28_pairs_is_shown_in_under_a_second(full: Project, browser: Browser) -> None:
    """From the request, with a new server that has kept nothing, until the map is on the screen; the best of five, each
    in seconds of a core to itself (what others of the machine take is measured just before and after)."""
    took: list[float] = []
    while len(took) < 5 and min(took, default=1.0) >= 1.0:
        console = Console(full).start()
        found = Watched(browser, console.url)
        found.go("runs")  # the browser's own start is not the question
        busy, began = _busy(), time.perf_counter()
        page = found.go("coverage")
        page.wait_for_selector("#heat[data-drawn='11760']")
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        wall = time.perf_counter() - began
        took.append(wall / min(busy, _busy()))
        assert "11,760 partitions: 35 datasets, 28 pairs" in page.locator("main p").first.inner_text()
        if min(took) < 1.0:
            _picture(page, "console-year")
        assert found.wrong == []
        found.page.context.close()
        console.close()
    print(f"shown in {min(took):.2f} s")
    assert min(took) < 1.0, took


def test_the_map_adds_up(full: Project) -> None:
    heat = make_heat(full)
    homes = {h.name: h for h in own_datasets().values()}
    number = {name: k for k, name in enumerate((n for n in homes if n != "base_bqx"), start=1)}
    assert len(heat.cells) == 11760
    for name, values, present, partitions in heat.rows:
        nulls = sum((number[name] * 700 + at * 13 + month) % 30000 for at in range(28) for month in range(12))
        columns = len(homes[name].columns)
        assert (values, present, partitions) == (336 * 30000 * columns, 336 * 30000 * columns - nulls * columns, 336)
    cell: Any = heat.cells[500]
    assert cell[3] == 30000

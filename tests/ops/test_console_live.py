"""The console's live page: what a server wrote, how old it is, and what it says when there is none."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_state import forecast, write_state

from bqx.build.project import Project
from bqx.ops.console.pages import Pages
from bqx.ops.console.server import Console
from bqx.serve.api.refresher import STATUS
from chromium_browser import chromium


@pytest.fixture
def project(unstaged: Path, tmp_path: Path) -> Iterator[Project]:
    root = tmp_path / "p"
    shutil.copytree(unstaged, root)
    found = Project.open(root)
    yield found
    found.close()


def text(project: Project) -> str:
    page = Pages(project).render("live")
    assert page is not None
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.split("<main", 1)[1]))


def test_in_a_browser(project: Project) -> None:
    """It shows the state, makes itself anew, and says nothing on the browser's console."""
    write_state(project.root)
    console = Console(project).start()
    with chromium() as browser:
        page = browser.new_page()
        wrong: list[str] = []
        page.on("console", lambda m: wrong.append(m.text))
        page.on("pageerror", lambda e: wrong.append(str(e)))
        page.goto(console.url + "board")
        page.keyboard.press("8")
        page.wait_for_url("**/live")
        rows = page.locator("tbody tr").all_inner_texts()
        assert [r.split()[0] for r in rows] == ["eurusd", "gbpusd", "usdjpy"]
        assert re.search(r"2024-07-12 10:29\s+0 fresh\s+HOLD\s+0.00\s+45\s+\+0.347\s+-9.15 to \+10.60", rows[0])
        assert "1.2.0 (research)" in rows[0]
        assert re.search(r"3 stale\s+SELL\s+0.41", rows[1])
        assert "(research)" not in rows[1]
        assert "no forecast" in rows[2]
        assert page.locator(".badge").first.inner_text() == "running"
        facts = page.locator(".facts").inner_text()
        for shown in ("8.1 ms", "12,345", "answers 4xx", "open"):
            assert shown in facts
        write_state(project.root, pairs=[forecast("eurusd", 1, 1.0)], alerts=[])
        page.locator("text=0 fresh").wait_for(state="detached", timeout=20_000)
        assert page.locator("tbody tr").count() == 1
        assert wrong == []
    console.close()


def test_states(project: Project) -> None:
    assert "no prediction server has run in this project: bqx serve" in text(project)
    write_state(project.root, written_at=time.time() - 120)
    said = text(project)
    assert "silent" in said
    assert "The state is 120 s old" in said
    assert "it has not written since" in said
    write_state(project.root, state="ended", market_opens="2024-07-14T21:00:00+00:00", alerts=[])
    said = text(project)
    assert "ended" in said
    assert "closed until 2024-07-14 21:00" in said
    assert "Alerts none" in said
    nothing = {"requests": {}, "measured": 0, "p50_ms": None, "p95_ms": None, "p99_ms": None, "events": {}}
    closing = forecast("eurusd", 0, 1.0) | {"move_bps": None, "low_bps": None, "high_bps": None}
    write_state(project.root, latency=nothing, pairs=[closing])
    assert "none yet" in text(project)
    assert "closes before" in text(project)


def test_a_state_that_cannot_be_read_is_said(project: Project) -> None:
    path = project.root / STATUS
    write_state(project.root, format=99)
    assert "it has format 99" in text(project)
    for broken in ("{", "[]", '{"format": 1}'):
        path.write_text(broken)
        assert "cannot be read" in text(project)
    write_state(project.root, alerts=[{"part": "<script>alert(1)</script>", "code": "BQX000", "what": "x"}])
    page = Pages(project).render("live")
    assert page is not None
    assert "<script>alert" not in page

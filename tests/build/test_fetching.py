"""`bqx bars fetch` against a real HTTP server with the vendor's public layout."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import bar_files as bf
from bqx.base.download import Downloader
from bqx.base.errors import FetchError, UsageError
from bqx.build.fetching import GIVE_UP, FetchPlan, fetch, plan_fetch
from bqx.build.project import Project
from bqx.cli.main import main
from bqx.market.calendar import Calendar

ROWS = bf.make_rows("2024-06-06T12:00", 5)
CALENDAR = Calendar.load()
SPAN = (date(2024, 6, 6), date(2024, 6, 12))
FIRST = "EURUSD/2024/05/06/BID_candles_min_1.bi5"
Answer = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """Serves a folder; `answers` holds what to do instead for a path, first come first used. `asked`: paths so far."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked, self.times = folder, list[str](), list[float]()
        self.answers: dict[str, list[Answer]] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.lstrip("/")
                outer.asked.append(path)
                outer.times.append(time.monotonic())
                todo = outer.answers.get(path) or outer.answers.get("*", [])
                if todo:
                    todo.pop(0)(self)
                    return
                file = outer.folder / path
                send(200, file.read_bytes())(self) if file.is_file() else send(404, b"<html>not found</html>")(self)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()


def send(code: int, body: bytes = b"", *, length: int | None = None, pause: float = 0.0, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        try:
            for k in range(0, len(body), 50 if pause else len(body)):
                handler.wfile.write(body[k : k + 50] if pause else body)
                handler.wfile.flush()
                time.sleep(pause)
        except OSError:
            pass  # the client has gone

    return answer


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "served")
    bf.bi5(made.folder, ROWS)
    yield made
    made.http.shutdown()
    made.http.server_close()


@pytest.fixture
def plan(tmp_path: Path) -> Callable[[], FetchPlan]:
    return lambda: plan_fetch(["eurusd"], *SPAN, tmp_path / "out", CALENDAR)


def client(server: Server, **options: float) -> Downloader:
    return Downloader(server.url, **{"rate": 1e6, "retries": 3, "timeout": 5.0, "backoff": 0.001, **options})


def same(a: Path, b: Path) -> bool:
    files = [{str(p.relative_to(x)): p.read_bytes() for p in x.rglob("*") if p.is_file()} for x in (a, b)]
    return files[0] == files[1]


def test_both_sides_of_open_days_come_and_closed_days_are_not_asked_for(server, plan, tmp_path) -> None:
    report = fetch(plan(), client(server))
    assert (report.wanted, report.fetched, report.present, report.failed, report.absent) == (10, 10, 0, {}, ())
    assert same(server.folder, tmp_path / "out")
    assert len(server.asked) == 10
    assert not any("/05/08/" in path for path in server.asked)  # Saturday 8 June 2024
    assert any("/05/09/" in path for path in server.asked)  # Sunday evening is open


def test_a_second_run_fetches_nothing_and_a_damaged_file_again(server, plan, tmp_path) -> None:
    fetch(plan(), client(server))
    server.asked.clear()
    assert fetch(plan(), client(server)).present == 10
    assert server.asked == []
    whole = (tmp_path / "out" / FIRST).read_bytes()
    (tmp_path / "out" / FIRST).write_bytes(whole[:-9])
    report = fetch(plan(), client(server))
    assert (report.present, report.fetched, server.asked) == (9, 1, [FIRST])
    assert (tmp_path / "out" / FIRST).read_bytes() == whole


def test_days_the_server_does_not_have_are_counted_and_asked_for_again(server, plan) -> None:
    for side in ("BID", "ASK"):
        (server.folder / f"EURUSD/2024/05/07/{side}_candles_min_1.bi5").unlink()
    (server.folder / FIRST).write_bytes(b"")
    report = fetch(plan(), client(server))
    assert (report.fetched, len(report.absent), report.failed, report.retries) == (7, 3, {}, 0)
    assert len(plan().missing) == 3


WHOLE = bf.bi5_day(ROWS[:720], "bid")
TROUBLE: dict[str, Answer] = {
    "503": send(503),
    "500": send(500, b"oops"),
    "429": send(429, Retry_After="0"),
    "hangs up": hang_up,
    "cut off": send(200, WHOLE[: len(WHOLE) // 2], length=len(WHOLE)),
    "half a file, stated as whole": send(200, WHOLE[: len(WHOLE) // 2]),
    "a page instead": send(200, b"<html><body>please log in</body></html>"),
    "another archive": send(200, b"PK\x03\x04" + bytes(40)),
    "too slow": send(200, WHOLE, pause=0.1),
}


@pytest.mark.parametrize("kind", TROUBLE)
def test_trouble_that_passes_is_tried_again(kind: str, server, plan, tmp_path) -> None:
    server.answers[FIRST] = [TROUBLE[kind]] * 2
    report = fetch(plan(), client(server, timeout=0.4))
    assert (report.fetched, report.failed, report.retries) == (10, {}, 2)
    assert server.asked.count(FIRST) == 3
    assert same(server.folder, tmp_path / "out")


@pytest.mark.parametrize("kind", [k for k in TROUBLE if k != "too slow"])
def test_trouble_that_stays_fails_that_file_only_and_leaves_nothing_of_it(kind: str, server, plan, tmp_path) -> None:
    server.answers[FIRST] = [TROUBLE[kind]] * 9
    report = fetch(plan(), client(server))
    assert (report.fetched, list(report.failed), report.untried) == (9, [FIRST], 0)
    assert "after 4 tries" in report.failed[FIRST]
    assert [p.name for p in (tmp_path / "out" / FIRST).parent.iterdir()] == ["ASK_candles_min_1.bi5"]
    with pytest.raises(FetchError, match="1 of 10 files failed"):
        report.require_all()
    server.answers.clear()
    again = fetch(plan(), client(server))
    assert (again.present, again.fetched) == (9, 1)
    assert same(server.folder, tmp_path / "out")


def test_a_refusal_and_a_body_too_large_are_not_tried_again(server, plan) -> None:
    server.answers[FIRST] = [send(403)]
    server.answers[FIRST.replace("BID", "ASK")] = [send(200, bytes(2 << 20))]
    report = fetch(plan(), client(server))
    assert (report.retries, report.fetched, len(server.asked)) == (0, 8, 10)
    assert "HTTP 403" in report.failed[FIRST]
    assert "larger than 1,048,576 bytes" in report.failed[FIRST.replace("BID", "ASK")]


def test_a_server_that_is_down_is_given_up(server, plan) -> None:
    server.answers["*"] = [send(503)] * 99
    report = fetch(plan(), client(server, retries=1))
    assert (len(report.failed), report.untried, len(server.asked)) == (GIVE_UP, 10 - GIVE_UP, 2 * GIVE_UP)


def test_requests_keep_to_the_rate(server, plan) -> None:
    fetch(plan(), client(server, rate=25))
    gaps = [b - a for a, b in zip(server.times, server.times[1:], strict=False)]
    assert server.times[-1] - server.times[0] > 0.95 * 9 / 25
    assert sorted(gaps)[len(gaps) // 2] > 0.5 / 25  # one may be late on a busy machine and the next seem early


def test_waits_double_and_the_server_may_ask_for_longer(server) -> None:
    waits: list[float] = []
    server.answers[FIRST] = [send(503), send(503), send(429, Retry_After="7"), send(503, Retry_After="9999")]
    patient = client(server, backoff=0.5, retries=4)
    patient.sleep = waits.append
    patient.get(FIRST, len)
    assert [w for w in waits if w > 0.01] == [0.5, 1.0, 7.0, 300.0]


def test_plans_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not before"):
        plan_fetch(["eurusd"], SPAN[1], SPAN[0], tmp_path, CALENDAR)
    with pytest.raises(UsageError, match="not over yet"):
        plan_fetch(["eurusd"], *SPAN, tmp_path, CALENDAR, today=date(2024, 6, 11))
    for url in ("file:///etc", "ftp://127.0.0.1/x", "127.0.0.1", "http://"):
        with pytest.raises(UsageError, match="not an http"):
            Downloader(url)


def test_a_redirect_to_a_file_is_not_followed(server, tmp_path: Path) -> None:
    server.answers[FIRST] = [send(302, Location=f"file://{tmp_path}")]
    with pytest.raises(FetchError):
        client(server).get(FIRST, len)


# --- as a command


def args(server: Server, *more: str) -> list[str]:
    span = ("--from", "2024-06-06", "--to", "2024-06-12")
    return [
        "fetch",
        "--vendor",
        "dukascopy",
        "--base-url",
        server.url,
        "--pair",
        "EURUSD",
        *span,
        "--rate",
        "1e6",
        *more,
    ]


def test_fetch_and_import_in_one_call(server, tmp_path, capsys) -> None:
    project = tmp_path / "project"
    Project.create(project).close()
    main(["-C", str(project), "bars", *args(server, "--dry-run", "--json")])
    dry = json.loads(capsys.readouterr().out)
    assert (dry["wanted"], len(dry["missing"]), server.asked) == (10, 10, [])
    main(["-C", str(project), "bars", *args(server, "--import", "--licence", "CC0", "--json")])
    done = json.loads(capsys.readouterr().out)
    assert (done["fetched"], done["import"]["stored"]["eurusd"]["new"]) == (10, len(ROWS))
    opened = Project.open(project)
    (source,) = opened.bars.sources()
    opened.close()
    assert (source["vendor"], source["price_side"], source["licence"]) == ("dukascopy", "mid of bid+ask", "CC0")
    server.answers["*"] = [send(404)] * 9
    with pytest.raises(SystemExit) as left:
        main(["-C", str(project), "bars", *args(server)[:-4], "--to", "2024-06-06"])
    assert left.value.code == 2


def test_a_failed_file_exits_9_and_nothing_is_imported(server, tmp_path, capsys) -> None:
    server.answers[FIRST] = [send(403)]
    with pytest.raises(SystemExit) as left:
        main(["-C", str(tmp_path), "bars", *args(server, "--import", "--json")])
    assert left.value.code == 9
    out, err = capsys.readouterr()
    assert (json.loads(out)["import"], json.loads(out)["fetched"]) == (None, 9)
    assert '"code": "BQX502"' in err


def test_a_killed_fetch_goes_on_and_leaves_no_scraps(server, tmp_path) -> None:
    code = "from bqx.cli.main import main; main()"
    command = [sys.executable, "-c", code, "-C", str(tmp_path), "bars", *args(server, "--out", str(tmp_path / "out"))]
    killed = subprocess.run(
        command, env={**os.environ, "BQX_FAULT": "after-temp-write:4"}, capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert len(list((tmp_path / "out").rglob("*.bi5"))) == 3
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "7 files fetched" in done.stdout
    assert same(server.folder, tmp_path / "out")

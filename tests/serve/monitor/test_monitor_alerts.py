"""Alerts: told once, again when worse, silenced with a reason, resolved, and delivered in spite of failing sinks."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bqx.base.errors import AlertFailed, MonitorError, MonitorInputError
from bqx.base.secret import Secret
from bqx.serve.monitor.alerts import Book, Silence
from bqx.serve.monitor.finding import Finding
from bqx.serve.monitor.settings import AlertSettings, read_settings
from bqx.serve.monitor.sinks import Lines, Mail, Webhook, deliver, make_sinks
from bqx.serve.monitor.state import State

ROOT = Path(__file__).parents[3]
HOUR = 3600.0
STALE = Finding("stale", "eurusd", "warning", "old", 20, 10)


def take(book: Book, *found: Finding, at: float, **more: Any) -> list[str]:
    return [f"{m.why} {m.key}" for m in book.take(found, at, repeat=24 * HOUR, simulated=False, **more)]


def test_an_alert_is_sent_when_it_begins_gets_worse_stays_and_ends() -> None:
    book = Book()
    assert take(book, STALE, at=0) == ["new stale/eurusd"]
    assert take(book, STALE, at=HOUR) == []
    worse = Finding("stale", "eurusd", "critical", "older")
    assert take(book, worse, at=2 * HOUR) == ["worse stale/eurusd"]
    assert take(book, STALE, at=3 * HOUR) == []
    assert take(book, STALE, at=26 * HOUR) == ["repeated stale/eurusd"]
    assert take(book, at=27 * HOUR) == ["resolved stale/eurusd"]
    assert take(book, at=28 * HOUR) == [] and not book.alerts


def test_a_check_that_did_not_look_resolves_nothing() -> None:
    book = Book()
    take(book, STALE, at=0)
    assert take(book, at=1, judged={"drift"}) == [] and "stale/eurusd" in book.alerts
    assert take(book, at=2, judged={"stale"}) == ["resolved stale/eurusd"]


def test_two_findings_of_a_key_are_one_alert_of_the_worse_severity() -> None:
    book = Book()
    book.take([STALE, Finding("stale", "eurusd", "critical", "x")], 0, repeat=HOUR, simulated=False)
    assert len(book.alerts) == 1 and book.alerts["stale/eurusd"].severity == "critical"


def test_a_silence_ends_and_then_the_alert_is_sent() -> None:
    book = Book(silences=[Silence("stale/*", 2 * HOUR, "ann", "the feed moves")])
    assert take(book, STALE, Finding("gaps", "eurusd", "warning", "g"), at=0) == ["new gaps/eurusd"]
    assert take(book, STALE, at=HOUR, judged={"stale"}) == []
    assert take(book, STALE, at=2 * HOUR, judged={"stale"}) == ["new stale/eurusd"] and not book.silences
    with pytest.raises(MonitorInputError, match="who"):
        Silence("*", 1.0, " ", "x")


def test_the_state_comes_back_and_a_damaged_one_is_kept(tmp_path: Path) -> None:
    state = State()
    take(state.book, STALE, at=5.0)
    state.book.silences.append(Silence("a", 9e9, "ann", "why"))
    state.write(tmp_path)
    again = State.read(tmp_path)
    assert again == state and take(again.book, STALE, at=6.0) == []
    path = tmp_path / "monitor" / "state.json"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(MonitorInputError):
        State.read(tmp_path)


def test_a_verdict_is_kept_until_its_inputs_change(tmp_path: Path) -> None:
    state, asked = State(), []

    def judge() -> tuple[list[Finding], dict[str, Any]]:
        asked.append(1)
        return [STALE], {"n": len(asked)}

    first = state.verdict("drift", ["model", 5], judge)
    state.write(tmp_path)
    again = State.read(tmp_path)
    assert again.verdict("drift", ["model", 5], judge) == first == ([STALE], {"n": 1})
    assert again.verdict("drift", ["model", 6], judge)[1] == {"n": 2}


def test_every_check_has_a_runbook() -> None:
    from bqx.serve.monitor.look import CHECKS

    heads = {line[3:].strip() for line in (ROOT / "docs" / "runbooks.md").read_text().splitlines() if line[:3] == "## "}
    assert {c for checks in CHECKS.values() for c in checks} | {"monitor"} == heads


MESSAGE = {"why": "new", "key": "stale/eurusd", "severity": "critical", "what": "bars are old", "began": "t", "at": "t",
           "runbook": "docs/runbooks.md#stale", "simulated": True, "value": 1.0, "limit": None}  # fmt: skip


@contextmanager
def http(status: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(status)
            if status == 302:
                self.send_header("location", "/elsewhere")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/hook", got
        server.shutdown()


def test_the_webhook_posts_and_tells_of_failures() -> None:
    with http(204) as (url, got):
        Webhook(Secret(url)).send([MESSAGE])
    assert got[0]["alerts"] == [MESSAGE] and got[0]["text"] == "[bqx SIMULATED critical] bars are old"
    for status in (302, 500):
        with http(status) as (url, got), pytest.raises(AlertFailed, match=str(status)):
            Webhook(Secret(url)).send([MESSAGE])
        assert len(got) == 1
    with pytest.raises(AlertFailed, match="reached"):
        Webhook(Secret(url)).send([MESSAGE])
    with pytest.raises(MonitorError):
        Webhook(Secret("file:///etc/hosts")).send([MESSAGE])


class Smtp(socketserver.StreamRequestHandler):
    """The few verbs of RFC 5321 that a delivery needs."""

    got: list[str] = []

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline().decode().strip():
            if line.upper() == "DATA":
                self.wfile.write(b"354 go\r\n")
                while (row := self.rfile.readline().decode()) != ".\r\n":
                    self.got.append(row.rstrip())
            self.wfile.write(b"221 bye\r\n" if line.upper() == "QUIT" else b"250 ok\r\n")


def test_mail_arrives_and_wants_tls_unless_told() -> None:
    Smtp.got = []
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Smtp) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        port = server.server_address[1]
        Mail("127.0.0.1", port, "bqx@example.org", ("ann@example.org",), False).send([MESSAGE, MESSAGE])
        with pytest.raises(AlertFailed):
            Mail("127.0.0.1", port, "a@example.org", ("b@example.org",), True).send([MESSAGE])
        server.shutdown()
    text = "\n".join(Smtp.got)
    assert "Subject: [bqx SIMULATED critical] bars are old and 1 more" in text
    assert "To: ann@example.org" in text and text.count("docs/runbooks.md#stale") == 2


def test_what_a_sink_did_not_take_is_sent_with_the_next_look(tmp_path: Path) -> None:
    waiting: dict[str, list[dict[str, Any]]] = {}
    lines = Lines(tmp_path / "alerts.jsonl")
    with http(500) as (url, _):
        failed = deliver([lines, Webhook(Secret(url))], [MESSAGE], waiting)
    assert failed == {"webhook": "the webhook answered 500"} and waiting == {"webhook": [MESSAGE]}
    with http(200) as (url, got):
        assert deliver([lines, Webhook(Secret(url))], [], waiting) == {}
    assert got[0]["alerts"] == [MESSAGE] and not waiting
    assert [json.loads(r) for r in (tmp_path / "alerts.jsonl").read_text().splitlines()] == [MESSAGE]


def test_sinks_need_their_secrets_and_passwords_tls(tmp_path: Path) -> None:
    assert [s.name for s in make_sinks(tmp_path, AlertSettings(), None)] == ["lines"]
    with pytest.raises(MonitorError, match="provider"):
        make_sinks(tmp_path, AlertSettings(webhook="hook"), None)
    open_mail = AlertSettings(mail_host="h", mail_from="a", mail_to=("b",), mail_starttls=False, mail_user="u")
    with pytest.raises(MonitorError, match="TLS"):
        make_sinks(tmp_path, open_mail, None)


def test_settings_are_read_and_wrong_ones_named(tmp_path: Path) -> None:
    path = tmp_path / "monitor.toml"
    path.write_text('run = "first"\n[drift]\nwindow = 7\n[alerts]\nmail_to = ["a@b"]\n')
    found = read_settings(tmp_path)
    assert (found.run, found.drift.window, found.alerts.mail_to) == ("first", 7, ("a@b",))
    assert read_settings(tmp_path, "second").run == "second"
    for text, said in (
        ("ruin = 1", "ruin"), ("[drift]\nwindow = 1.5", "1.5"), ("drift = 1", "section"), ("x", "cannot be read"),
        ("[performance]\narl = 30", "performance.arl"), ('[probe]\nurl = "http://x"', "probe.key"),
    ):  # fmt: skip
        path.write_text(text)
        with pytest.raises(MonitorError, match=said):
            read_settings(tmp_path)

"""What strangers may try: wrong keys, floods, giants, snails, garbage. No 5xx from any of it, and nothing leaks."""

from __future__ import annotations

import contextlib
import hmac
import json
import logging
import random
import secrets
import socket
import stat
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_server import Serve, Served

from bqx.base import redaction
from bqx.serve.api.keys import FILE, Keys
from bqx.serve.api.limits import Buckets, Limits


def connect(served: Served) -> socket.socket:
    host, port = served.server.url.split("/")[2].split(":")
    found = socket.create_connection((host, int(port)), timeout=10)
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return found


def until_closed(sock: socket.socket) -> bytes:
    """All that comes before the other side closes."""
    out = b""
    try:
        while data := sock.recv(65536):
            out += data
    except ConnectionResetError:
        pass
    return out


def head(served: Served, length: int | str, path: str = "/predict") -> bytes:
    body = f"content-length: {length}" if isinstance(length, int) else length
    return (f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {served.key}\r\n"
            f"content-type: application/json\r\n{body}\r\n\r\n").encode()  # fmt: skip


def test_only_valid_keys_open(served: Served) -> None:
    ident = served.key.split("_")[1]
    wrong = ["x", "bqxk_", served.key[:-1], served.key + "A", f"bqxk_{ident}_{secrets.token_urlsafe(32)}",
             f"bqxk_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}", "a" * 5000]  # fmt: skip
    url = served.server.url + "predict"
    bare = httpx.Client()
    for text in wrong:
        found = bare.post(url, json={"pair": "eurusd"}, headers={"authorization": f"Bearer {text}"})
        assert found.status_code in (401, 429)
        assert set(found.json()["error"]) <= {"reason", "what", "fix", "request_id"}
        if len(text) > 5:
            assert text not in found.text
    for headers in ({"authorization": f"Basic {served.key}"}, {"authorization": served.key}, {}):
        assert bare.post(url, json={"pair": "eurusd"}, headers=headers).status_code in (401, 429)
    assert bare.post(url, json={"pair": "eurusd"}, headers={"x-api-key": served.key}).status_code == 200
    assert served.predict().status_code == 200, "wrong keys of others at this address do not shut a right one out"


def test_guessing_is_slowed(served: Served) -> None:
    url = served.server.url + "predict"
    with httpx.Client() as client:
        seen = Counter(client.post(url, headers={"x-api-key": "wrong"}).status_code for _ in range(60))
    assert set(seen) <= {401, 429}
    assert seen[429] > 5


def test_compared_in_constant_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One comparison of equal lengths by compare_digest, whether the id is known, unknown or no id at all."""
    keys = Keys(tmp_path)
    made, text = keys.make("one")
    calls: list[tuple[int, int]] = []
    honest = hmac.compare_digest

    def watched(a: Any, b: Any) -> bool:
        calls.append((len(a), len(b)))
        return honest(a, b)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    other = f"bqxk_{made.id}_{secrets.token_urlsafe(32)}"
    for given, want in ((text, made), (other, None), (f"bqxk_{'0' * 12}_{'A' * 43}", None), ("", None)):
        calls.clear()
        assert keys.check(given) == want
        assert calls == [(64, 64)]


def test_keys_made_at_the_same_time_are_all_there(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda k: Keys(tmp_path).make(f"key {k}")[1], range(24)))
    keys = Keys(tmp_path)
    assert len(keys.list()) == 24
    assert all(keys.check(text) for text in made)


def test_keys_are_kept_as_hashes_and_can_be_revoked(serve: Serve) -> None:
    served = serve(copy=True)
    path = served.world.root / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert served.key.split("_", 2)[2] not in path.read_text()
    assert served.predict().status_code == 200
    keys = Keys(served.world.root)
    keys.revoke(served.key.split("_")[1])
    assert served.predict().status_code == 401, "at once, in a running server"
    assert [k.revoked_at is None for k in keys.list()][-1] is False
    path.write_text("{")
    found = served.predict()
    assert (found.status_code, found.json()["error"]["reason"]) == (503, "unavailable"), "nobody gets in"


def test_ten_times_the_rate(serve: Serve) -> None:
    served = serve(copy=True, rate=20.0)
    _, other = Keys(served.world.root).make("other", 1000)
    began = time.monotonic()

    def ask(_: int) -> tuple[int, int]:
        found = served.predict()
        return found.status_code, int(found.headers.get("retry-after", 0))

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(ask, range(200)))
    took = time.monotonic() - began
    count = Counter(status for status, _ in seen)
    assert set(count) == {200, 429}
    assert 20 <= count[200] <= 20 + 20 * took + 1
    assert all(wait >= 1 for status, wait in seen if status == 429)
    assert httpx.post(
        served.server.url + "predict", json={"pair": "eurusd"}, headers={"x-api-key": other}
    ).status_code == 200  # fmt: skip
    batch = served.client.post("/predict/batch", json={"requests": [{"pair": "eurusd"}] * 60})
    assert batch.status_code == 429, "a batch counts as what is in it"


def test_buckets_refill() -> None:
    now = [0.0]
    buckets = Buckets(keep=2, clock=lambda: now[0])
    assert [buckets.take("a", 2.0) for _ in range(3)] == [0.0, 0.0, 0.5]
    now[0] = 0.5
    assert buckets.take("a", 2.0) == 0.0
    assert buckets.take("a", 2.0) > 0
    now[0] = 100.0
    assert buckets.take("a", 2.0, 6) == 0.0, "more than fits passes from a full bucket and is paid for later"
    assert buckets.take("a", 2.0) == pytest.approx(2.5)


def test_giants(served: Served) -> None:
    """Told or found: a body above the limit is refused without being read."""
    limits = served.server.service.limits
    with connect(served) as sock:
        sock.sendall(head(served, limits.body + 1))
        assert until_closed(sock).startswith(b"HTTP/1.1 413 ")
    with connect(served) as sock:
        sock.sendall(head(served, "transfer-encoding: chunked"))
        piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(64 * limits.body // 0x10000):
                sock.sendall(piece)
    with connect(served) as sock:
        sock.sendall(b"GET /ping HTTP/1.1\r\nhost: x\r\nx: " + b"a" * (1 << 16))
        assert until_closed(sock).startswith(b"HTTP/1.1 4")
    assert served.predict().status_code == 200


def test_snails(serve: Serve) -> None:
    """Heads and bodies that drip, and clients that do not read, are cut off while others are served."""
    served = serve(limits=Limits(header_s=0.6, body_s=0.6, send_s=0.6))
    began = time.monotonic()
    drips = [connect(served) for _ in range(40)]
    silent, bodies = connect(served), connect(served)
    bodies.sendall(head(served, 100) + b"{")
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.connect(drips[0].getpeername())
    reader.settimeout(10)
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.05):
            for sock in drips:
                with contextlib.suppress(OSError):
                    sock.sendall(b"P")

    def never_read() -> None:
        try:
            for _ in range(3000):
                reader.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n")
        except OSError:
            pass

    threads = [threading.Thread(target=work) for work in (drip, never_read)]
    for thread in threads:
        thread.start()
    statuses = [served.predict().status_code for _ in range(50)]
    assert set(statuses) == {200}
    assert until_closed(bodies).startswith(b"HTTP/1.1 408 ")
    ends = [until_closed(sock) for sock in (*drips, silent)]
    assert all(e.startswith(b"HTTP/1.1 408 ") or e == b"" for e in ends)
    assert time.monotonic() - began < 8
    deadline = time.monotonic() + 8
    while len(served.server._server.server_state.connections) > 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    stop.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert len(served.server._server.server_state.connections) <= 1, "the one of the client that behaves"
    for sock in (*drips, silent, bodies, reader):
        sock.close()


def test_crowds(serve: Serve) -> None:
    served = serve(limits=Limits(per_client=8))
    held = [connect(served) for _ in range(20)]
    time.sleep(0.2)
    held[-1].settimeout(5)
    assert until_closed(held[-1]).startswith(b"HTTP/1.1 503 ")
    for sock in held:
        sock.close()
    time.sleep(0.2)
    assert served.predict().status_code == 200


def test_garbage(served: Served) -> None:
    rng = random.Random(3)
    for k in range(30):
        data = rng.randbytes(rng.randint(1, 400))
        if k % 3 == 0:
            data = b"POST /predict HTTP/1.1\r\nhost: x\r\n" + data + b"\r\n\r\n"
        with connect(served) as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            assert not until_closed(sock).startswith(b"HTTP/1.1 5")
    assert served.predict().status_code == 200


def test_no_page_elsewhere_may_ask_by_default(serve: Serve, served: Served) -> None:
    origin = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    found = served.client.options("/predict", headers=origin)
    assert found.status_code == 405
    assert not [k for k in {**found.headers, **served.predict().headers} if k.startswith("access-control")]
    allowed = serve(cors=("https://good.example",))
    asked = {"origin": "https://good.example", "access-control-request-method": "POST"}
    found = httpx.options(allowed.server.url + "predict", headers=asked)
    assert found.headers["access-control-allow-origin"] == "https://good.example"
    assert httpx.options(allowed.server.url + "predict", headers=origin).status_code == 400


def test_internal_errors_say_a_ticket_and_no_more(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    served = serve()
    password = secrets.token_hex(8)

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError(f"cannot reach postgres://bqx:{password}@db")

    monkeypatch.setattr(served.predictor, "ready", broken)
    with caplog.at_level(logging.INFO, logger="bqx"):
        found = served.predict()
        deadline = time.monotonic() + 10
        while not any(r.message == "serve.request" for r in caplog.records) and time.monotonic() < deadline:
            time.sleep(0.01)  # the line is written when the answer has gone
    assert found.status_code == 500
    error = found.json()["error"]
    assert error["reason"] == "internal"
    assert password not in found.text
    assert "postgres" not in found.text
    records = [r for r in caplog.records if r.message == "serve.internal"]
    assert [r.__dict__["fields"]["ticket"] for r in records] == [error["ticket"]]
    from bqx.base.runlog import _JsonFormatter

    lines = [_JsonFormatter().format(r) for r in caplog.records]
    assert password not in "".join(lines)
    asked = [json.loads(line) for line in lines if "serve.request" in line]
    assert asked[-1]["fields"]["request"] == error["request_id"]
    assert served.key not in "".join(lines)


def test_keys_are_masked_everywhere() -> None:
    text = f"bqxk_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"
    assert text not in redaction.redact(f"asked with {text} today")
    assert "bqx-api-key" in redaction.leaks(text)

"""What is served when: freshness, closures, no look-ahead, promotion, reloads under load, death."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from api_server import Serve, Served
from benchmarks.soak.api_world import extend, fit

from bqx.base.errors import ArtefactError, ModelRefused, NoPrediction, QuarantinedError, ServeError, UsageError
from bqx.build.project import Project
from bqx.market.calendar import datetime_of
from bqx.research.backtest.signal import SignalRule
from bqx.research.training.folder import write_head
from bqx.serve.api.assemble import Settings, make_predictor, make_server
from bqx.serve.api.freshness import as_if, asked
from bqx.serve.api.keys import Keys
from bqx.serve.api.model_sources import Located
from bqx.serve.api.models import ModelSet, columns_of
from bqx.serve.api.predictor import Predictor
from bqx.serve.api.refresher import STATUS

SOURCE = Path(__file__).parents[3] / "src"


def test_stale_data_is_refused_until_new_bars_are_built(serve: Serve) -> None:
    """Two bars may be missing, three not; when the next are imported and built, the running server goes on."""
    served = serve(copy=True, after=60 * 3 + 30)
    found = served.predict()
    assert (found.status_code, found.json()["error"]["reason"]) == (503, "stale")
    assert found.headers["retry-after"] == "5"
    assert "3 bars old" in found.json()["error"]["what"]
    batch = served.client.post("/predict/batch", json={"requests": [{"pair": "eurusd"}]}).json()
    assert batch["results"][0]["error"]["reason"] == "stale"
    at = datetime.fromtimestamp(served.world.now, UTC)
    then = served.predict(timestamp=at.isoformat())
    assert then.status_code == 200, "an earlier time may still be asked about"
    status = json.loads((served.world.root / STATUS).read_text())
    assert any("stale" in a["what"] for a in status["alerts"])
    extend(served.world, 5)
    deadline = time.monotonic() + 20
    while (found := served.predict()).status_code != 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert found.json()["data"]["age_bars"] == 0
    wanted = asked(served.project.calendar, served.predictor.clock()).wanted
    assert found.json()["data"]["bar"] in (datetime_of(wanted).isoformat(), datetime_of(wanted - 1).isoformat())


def test_age_is_counted_in_bars(served_world: Any) -> None:
    project = Project.open(served_world.root)
    predictor = make_predictor(project, "first", as_if(served_world.now))
    for after, age in ((0, 0), (59, 0), (60, 1), (179, 2)):
        question = asked(project.calendar, served_world.now + after)
        assert question.wanted - predictor.make(question, "eurusd").row.last_bar == age
    with pytest.raises(NoPrediction, match="3 bars old"):
        predictor.make(asked(project.calendar, served_world.now + 180), "eurusd")
    project.close()


def test_a_closed_market_says_so(served_world: Any, serve: Serve) -> None:
    friday = datetime(2024, 3, 8, 22, 0, tzinfo=UTC).timestamp()
    served = serve(after=friday + 3600 - served_world.now)
    found = served.predict()
    assert (found.status_code, found.json()["error"]["reason"]) == (409, "closed")
    assert "2024-03-10T21:00:00" in found.json()["error"]["fix"], "New York is on summer time by then"
    status = served.server.refresher.status("running")
    assert status["market_opens"] == "2024-03-10T21:00:00+00:00"
    assert not status["alerts"], "a weekend is no alarm"


def test_ages_do_not_count_closures(served_world: Any) -> None:
    project = Project.open(served_world.root)
    calendar = project.calendar
    open_ = datetime(2024, 3, 3, 22, 0, tzinfo=UTC).timestamp()
    question = asked(calendar, open_ + 61)
    assert datetime_of(question.wanted) == datetime(2024, 3, 3, 22, 0, tzinfo=UTC)
    assert datetime_of(asked(calendar, open_).wanted) == datetime(2024, 3, 1, 21, 59, tzinfo=UTC)
    predictor = make_predictor(project, "first", as_if(served_world.now))
    made = predictor.make(asked(calendar, open_), "eurusd")
    assert np.isnan(made.said.move).all(), "no label of the last bar of a week exists"
    assert {s.reason for s in made.signals} <= {"rollover", "closure", "no forecast", "no shown skill"}
    assert {s.action for s in made.signals} == {"HOLD"}
    project.close()


def test_a_pair_that_fails_does_not_hold_up_the_others(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    served = serve(copy=True, after=-3600)
    honest = served.predictor.source.row

    def broken(pair: str, *args: Any) -> Any:
        if pair == "eurusd":
            raise OSError("a file is gone")
        return honest(pair, *args)

    monkeypatch.setattr(served.predictor.source, "row", broken)
    served.predictor._ready.clear()
    assert served.predictor.refresh() == 1
    assert served.predict("usdjpy").status_code == 200
    found = served.predict("eurusd")
    assert (found.status_code, found.json()["error"]["reason"]) == (500, "internal")
    assert "file" not in found.text
    monkeypatch.undo()
    until(lambda: served.predict("eurusd").status_code == 200)


def test_an_earlier_clock_sees_no_later_bar(serve: Serve) -> None:
    """The source has hours that the clock has not reached."""
    served = serve(after=-7200 + 5)
    found = served.predict().json()
    assert found["data"]["bar"] == datetime_of(served.world.end - 1 - 120).isoformat()
    assert served.predict(timestamp=datetime.fromtimestamp(served.world.now, UTC).isoformat()).status_code == 422


class Pointers:
    """A source of models as a registry is one: a pointer a pair, exchanged in one step."""

    def __init__(self, at: Mapping[str, Located]) -> None:
        self.at = dict(at)

    def stamp(self) -> object:
        return tuple(sorted((p, str(x.folder), x.version, x.promoted) for p, x in self.at.items()))

    def production(self) -> Mapping[str, Located]:
        return dict(self.at)


def pointers(world: Any, promoted: bool = False) -> Pointers:
    return Pointers({p: Located(p, world.artefacts / p, "1.0.0", promoted, "") for p in world.pairs})


def test_only_promoted_models_signal(served_world: Any) -> None:
    """The same forecast, above its cost: BUY or SELL by its sign when all gates were passed, HOLD otherwise."""
    project = Project.open(served_world.root)
    seen: Counter[str] = Counter()
    research = make_predictor(project, "first", as_if(served_world.now), cost=0.0)
    models = ModelSet(pointers(served_world, promoted=True), project.root)
    parts = (models, research.source, project.calendar, research.clock, research.metrics)
    gated, tested = Predictor(*parts, simulated=True, rule=SignalRule()), Predictor(*parts, simulated=True)
    beyond = models.all()["eurusd"].located.rule.extra_cost_bps
    for back in range(0, 600, 20):
        question = asked(project.calendar, served_world.now - 60 * back)
        plain, made = research.make(question, "eurusd"), gated.make(question, "eurusd")
        assert np.array_equal(plain.said.move, made.said.move)
        assert {s.action for s in plain.signals} == {"HOLD"}
        for s, move in zip(made.signals, made.said.move[0], strict=True):
            assert s.action == ("BUY" if move > 0 else "SELL")
            assert s.strength == 1.0
            seen[s.action] += 1
        for s, move in zip(tested.make(question, "eurusd").signals, made.said.move[0], strict=True):
            assert (s.action == "HOLD") == (abs(move) <= beyond), "the hurdle the backtest of its run had"
            seen[f"tested {s.action}"] += 1
    assert min(seen["BUY"], seen["SELL"]) > 5
    assert seen["tested HOLD"] > 5 and seen["tested BUY"] + seen["tested SELL"] > 5
    project.close()


@contextmanager
def asking(served: Served, threads: int = 3) -> Iterator[list[tuple[int, str]]]:
    """Status and model digest of answers while the block runs."""
    seen: list[tuple[int, str]] = []
    stop = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=served.server.url, headers={"authorization": f"Bearer {served.key}"}) as client:
            while not stop.is_set():
                found = client.post("/predict", json={"pair": "eurusd"})
                seen.append((found.status_code, found.json().get("model", {}).get("digest", found.text)))

    running = [threading.Thread(target=ask) for _ in range(threads)]
    for thread in running:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in running:
            thread.join(30)


def until(what: Any, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_promotion_drops_no_request(serve: Serve, tmp_path: Path) -> None:
    """Under load: the new model serves from one answer to the next, and a damaged one changes nothing."""
    served = serve(copy=True)
    source = pointers(served.world)
    models = served.predictor.models
    models.source = source
    until(lambda: models.get("eurusd").located.version == "1.0.0")
    old = models.get("eurusd").digest
    made = fit(served.project, "eurusd", served.world.start, served.world.end, seed=1, rounds=5)
    new = made.save(tmp_path / "new", served.world.signer)
    shutil.copytree(tmp_path / "new", tmp_path / "bad")
    victim = next(p for p in sorted((tmp_path / "bad").rglob("*.txt")))
    victim.write_bytes(victim.read_bytes().replace(b"1", b"2", 1))
    with asking(served) as seen:
        until(lambda: len(seen) > 50)
        source.at["eurusd"] = Located("eurusd", tmp_path / "bad", "1.1.0", False, "")
        until(lambda: served.server.refresher._alerts.get("models"))
        count = len(seen)
        until(lambda: len(seen) > count + 50)
        assert {d for _, d in seen} == {old}, "those in service stay"
        source.at["eurusd"] = Located("eurusd", tmp_path / "new", "1.2.0", False, "")
        until(lambda: seen[-1][1] == new)
        count = len(seen)
        until(lambda: len(seen) > count + 50)
    assert {status for status, _ in seen} == {200}
    assert {d for _, d in seen[count:]} == {new}
    assert not served.server.refresher._alerts
    alerts = served.client.get("/metrics").text
    assert 'bqx_events_total{event="models_failures"}' in alerts


def test_models_that_cannot_be_served(served_world: Any, tmp_path: Path) -> None:
    root = tmp_path / "p"
    shutil.copytree(served_world.root, root)
    world = replace(served_world, root=root)
    project = Project.open(root)
    with pytest.raises(ModelRefused, match="is of eurusd, not of usdjpy"):
        ModelSet(Pointers({"usdjpy": Located("usdjpy", world.artefacts / "eurusd", "1", False, "")}), root)
    with pytest.raises(ModelRefused, match="no candidate"):
        columns_of(("returns_raw_rate.nonsense",))
    with pytest.raises(ServeError, match="no model to serve"):
        ModelSet(Pointers({}), root)
    (root / "models" / "trusted.keys").unlink()
    with pytest.raises(ArtefactError, match="not trusted"):
        make_predictor(project, "first", time.time)
    with pytest.raises(ServeError, match="has no artefacts"):
        make_predictor(project, "second", time.time)
    head = json.loads((world.artefacts.parent / "run.json").read_text())
    write_head(world.artefacts.parent, head | {"state": "quarantined", "result": {"too_good": ["skill too good"]}})
    with pytest.raises(QuarantinedError, match="skill too good"):
        make_predictor(project, "first", time.time)
    with pytest.raises(UsageError, match="is no name"):
        make_predictor(project, "../first", time.time)
    shutil.rmtree(root / "serve", ignore_errors=True)
    with pytest.raises(ServeError, match="no API key"):
        make_server(project, Settings("first"))
    project.close()


def test_a_taken_port_is_said(served: Served) -> None:
    port = int(served.server.url.split(":")[2].strip("/"))
    with pytest.raises(ServeError, match="cannot listen"):
        make_server(served.project, Settings("first", port=port))


def test_a_signal_ends_it_in_order(served_world: Any, tmp_path: Path) -> None:
    """SIGTERM: what has begun is answered, the state says `ended`, and the process may go on to its own end."""
    root = tmp_path / "p"
    shutil.copytree(served_world.root, root)
    _, key = Keys(root).make("test")
    project = Project.open(root)
    server = make_server(project, Settings("first", start=served_world.now))
    honest, slow = server.service.predictor.ready, threading.Event()

    def slowly(*args: Any, **more: Any) -> Any:
        slow.set()
        time.sleep(0.4)
        return honest(*args, **more)

    server.service.predictor.ready = slowly  # type: ignore[method-assign]
    seen: list[int] = []

    def ask() -> None:
        url = server.url + "predict"
        seen.append(httpx.post(url, json={"pair": "eurusd"}, headers={"x-api-key": key}).status_code)

    def end() -> None:
        slow.wait(20)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    threads = [threading.Thread(target=work) for work in (ask, end)]
    for thread in threads:
        thread.start()
    server.serve()
    for thread in threads:
        thread.join(20)
    project.close()
    assert seen == [200]
    assert signal.getsignal(signal.SIGTERM) is before
    assert json.loads((root / STATUS).read_text())["state"] == "ended"

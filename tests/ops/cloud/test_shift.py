"""Traffic to a new release: shares, verdicts, roll-backs, kills; every request is answered meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from cloud_world import PREFIX, World, add_models, release, signer_of
from fake_sagemaker import Refused
from fake_traffic import Behaviour

from bqx.base.errors import ShiftRolledBack, UsageError
from bqx.ops.cloud.apply import bring
from bqx.ops.cloud.cloud import Cloud
from bqx.ops.cloud.description import CanarySection
from bqx.ops.cloud.shift import move
from bqx.ops.cloud.shift.judge import judge, worse
from bqx.ops.cloud.shift.measure import Seen
from bqx.ops.cloud.shift.move import back, shift

ROW = json.dumps({"instances": [[None, None, None]]}).encode()


def ask(w: World, c: Cloud, times: int = 1) -> int:
    """Requests of all pairs as they come each minute; how many were answered. One that is not raises.

    The first round goes over HTTP, the others straight to the fake's endpoint."""
    invoke, count = c.aws._operation("sagemaker-runtime", "InvokeEndpoint"), 0
    for turn in range(times):
        for pair in c.pairs:
            asked = {"EndpointName": f"{PREFIX}-fx", "TargetModel": f"{pair}.tar.gz", "Body": ROW}
            if turn == 0:
                body = invoke(**asked, ContentType="application/json")["Body"].read()
            else:
                with w.fake.lock:
                    _, body = w.fake.traffic.invoke(asked)
            assert json.loads(body)["pair"] == pair
            count += 1
    return count


@pytest.fixture
def serving(world: Callable[[int], World]) -> Callable[[], tuple[World, Cloud, Any]]:
    """A deployment of three pairs that serves its first release, and a second one uploaded."""

    def make() -> tuple[World, Cloud, Any]:
        w = world(3)
        w.fake.things.busy = 0
        text = (w.root / "cloud.toml").read_text().replace("hours = 1", "hours = 0")
        (w.root / "cloud.toml").write_text(text.replace("least_requests = 20", "least_requests = 9"))
        c = w.open()
        for want in c.wanted():
            if want.kind == "bucket":
                bring(c.aws, c.state, want)
        release(c)
        c.apply()
        add_models(w.root, signer_of(w.root), c.pairs, "second")
        new = release(c)
        assert c.state.get("candidate")["id"] == new.id
        w.fake.documents = w.policies()
        return w, c, new

    return make


def busy(w: World, c: Cloud, times: int = 10) -> list[int]:
    """From now on, each minute brings requests; how many were answered."""
    answered = [0]

    def minute() -> None:
        answered[0] += ask(w, c, times)

    w.clock.on_sleep = minute
    return answered


def test_a_good_release_gets_everything_and_can_be_given_back(serving: Any) -> None:
    w, c, new = serving()
    old = c.serving
    answered = busy(w, c)
    done = shift(c, new)
    assert [(x["share"], x["verdict"]) for x in done["looks"]] == [(10, "good"), (50, "good"), (100, "good")]
    assert all(x["minutes"] >= 3 and x["new"]["requests"] >= 9 for x in done["looks"])
    shares = [x["new"]["requests"] / (x["new"]["requests"] + x["old"]["requests"]) for x in done["looks"]]
    assert shares == pytest.approx([0.1, 0.5, 1.0], abs=0.02)
    assert c.serving.id == new.id
    assert c.kept.id == old.id
    assert c.state.get("candidate") is None
    assert w.fake.traffic.cold == 6, "each model was loaded once, before it had traffic"
    c.verify()
    w.clock.on_sleep = lambda: None
    before, began = w.fake.traffic.served[f"r-{old.id}"], w.clock.now
    assert back(c)["outcome"] == "done"
    assert w.clock.now - began < 300
    assert c.serving.id == old.id
    ask(w, c)
    assert w.fake.traffic.served[f"r-{old.id}"] == before + 6, "three to warm it, three from outside"
    c.verify()
    assert w.not_allowed(c.aws) == []
    assert answered[0] > 200
    c.destroy()
    assert not any(w.fake.things.all.values())


def test_a_bad_release_is_taken_back(serving: Any) -> None:
    w, c, new = serving()
    for behaviour, traffic, said in (
        (Behaviour(ms=400.0), 10, "P99 is 400 ms, the limit is 250"),
        (Behaviour(drift=6.0), 10, "predictions drift by 6.0 deviations"),
        (Behaviour(), 0, "0 requests of 9; at 10 %: no latency yet"),
        (Behaviour(error_every=2), 10, "server errors"),
    ):
        _taken_back(w, c, new, behaviour, traffic, said)


def _taken_back(w: World, c: Cloud, new: Any, behaviour: Behaviour, traffic: int, said: str) -> None:
    old, before = c.serving, {k: set(v) for k, v in w.fake.things.all.items()}
    _warm_is_no_traffic(w, new, behaviour)
    if traffic:
        w.clock.on_sleep = lambda: _unreliable(w, c, traffic)
    with pytest.raises(ShiftRolledBack, match=said) as caught:
        shift(c, new)
    assert "at 10 %" in str(caught.value)
    assert c.serving.id == old.id
    assert c.state.get("shift") is None
    assert c.state.get("last_shift")["outcome"] == "rolled back"
    assert {k: set(v) for k, v in w.fake.things.all.items()} == before, "nothing of the new one is left to be paid for"
    w.clock.on_sleep = lambda: None
    served = w.fake.traffic.served[f"r-{old.id}"]
    ask(w, c, 3)
    assert w.fake.traffic.served[f"r-{old.id}"] == served + 9
    c.verify()


def _warm_is_no_traffic(w: World, new: Any, behaviour: Behaviour) -> None:
    """A variant that errs errs from its fourth answer: the three that warm it are good."""
    w.fake.traffic.behaviour[f"r-{new.id}"] = behaviour
    if behaviour.error_every:
        w.fake.traffic.served[f"r-{new.id}"] = -3 * behaviour.error_every
        behaviour.error_every = 10**9
        real, traffic = w.fake.traffic.invoke, w.fake.traffic

        def invoke(p: dict[str, Any]) -> Any:
            if "TargetVariant" not in p:
                behaviour.error_every = 2
            return real(p)

        traffic.invoke = invoke  # type: ignore[method-assign]


def _unreliable(w: World, c: Cloud, times: int) -> None:
    """The same, and the new release may fail."""
    for _ in range(times):
        for pair in c.pairs:
            try:
                with w.fake.lock:
                    w.fake.traffic.invoke(
                        {"EndpointName": f"{PREFIX}-fx", "TargetModel": f"{pair}.tar.gz", "Body": ROW}
                    )
            except Refused as error:
                assert error.code == "ModelError"


def test_a_model_that_does_not_answer_never_gets_traffic(serving: Any) -> None:
    w, c, new = serving()
    w.fake.traffic.behaviour[f"r-{new.id}"] = Behaviour(error_every=1)
    with pytest.raises(ShiftRolledBack, match="3 models do not answer"):
        shift(c, new)
    c.verify()
    assert c.serving.id != new.id


class Killed(BaseException):
    """As a kill -9 would."""


def test_killed_in_any_phase_it_goes_on(serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    w, c, new = serving()
    busy(w, c, 12)
    whole, kills = move._phase, 0

    def phase(cloud: Cloud, now: dict[str, Any], **values: Any) -> None:
        whole(cloud, now, **values)
        if "looks" not in values:
            raise Killed

    monkeypatch.setattr(move, "_phase", phase)
    for _ in range(20):
        c = w.open()
        try:
            shift(c, new if kills == 0 else None)
            break
        except Killed:
            kills += 1
        with pytest.raises(ShiftRolledBack, match="traffic is being moved"):
            c.apply()
    assert kills >= 5
    assert c.serving.id == new.id
    assert c.state.get("last_shift")["outcome"] == "done"
    c.verify()


def test_taken_back_by_hand_from_the_middle(serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    w, c, new = serving()
    old = c.serving

    def end(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(move, "_watch", end)
        with pytest.raises(Killed):
            shift(c, new)
    assert c.state.get("shift")["phase"] == "share"
    assert back(w.open())["outcome"] == "rolled back"
    c.verify()
    assert c.serving.id == old.id
    with pytest.raises(UsageError, match="no release before this one"):
        back(c)
    with pytest.raises(UsageError, match="no move is under way"):
        shift(c)


def test_destroy_in_the_middle_of_a_move(serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    w, c, new = serving()
    with monkeypatch.context() as patch:
        patch.setattr(move, "_watch", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            shift(c, new)
    w.open().destroy()
    assert not any(w.fake.things.all.values())
    assert not w.fake.things.scaled


LIMITS = CanarySection(least_requests=100)
GOOD = Seen(1000, 5, 40.0, 0.5)


@pytest.mark.parametrize(
    ("new", "old", "verdict"),
    [
        (Seen(200, 0, 40.0, 0.1), GOOD, "good"),
        (Seen(200, 1, 40.0, None), GOOD, "good"),
        (Seen(200, 20, 40.0, 0.1), GOOD, "bad"),
        (Seen(200, 8, 40.0, 0.1), GOOD, "bad"),  # below 5 %, and surely more than the 0.5 % before
        (Seen(3, 1, 40.0, 0.1), GOOD, "not yet"),  # a third of three requests is no evidence
        (Seen(12, 6, 40.0, 0.1), GOOD, "bad"),
        (Seen(200, 0, 251.0, 0.1), GOOD, "bad"),
        (Seen(99, 0, 900.0, 0.1), GOOD, "not yet"),
        (Seen(200, 0, 40.0, 4.6), GOOD, "bad"),
        (Seen(200, 0, None, 0.1), GOOD, "not yet"),
        (Seen(200, 3, 40.0, 0.1), Seen(200, 4, 40.0, 0.1), "good"),
        (Seen(200, 3, 40.0, 0.1), None, "good"),
        (Seen(0, 0, None, None), GOOD, "not yet"),
    ],
)
def test_verdicts(new: Seen, old: Seen | None, verdict: str) -> None:
    judged = judge(new, old, LIMITS)
    assert judged.verdict == verdict
    assert bool(judged.reasons) == (verdict != "good")


def test_an_alert_of_the_monitor_and_a_missing_drift_figure_count() -> None:
    assert judge(Seen(200, 0, 40.0, 0.1), GOOD, LIMITS, ["parity/eurusd"]).verdict == "bad"
    need = LIMITS.model_copy(update={"need_drift": True})
    assert judge(Seen(200, 0, 40.0, None), GOOD, need).verdict == "not yet"


def test_fisher_is_scipy_s() -> None:
    stats = pytest.importorskip("scipy.stats")
    for a, n, b, m in ((8, 200, 5, 1000), (1, 10, 0, 900), (3, 40, 30, 400), (40, 40, 1, 3)):
        p = stats.fisher_exact([[a, n - a], [b, m - b]], alternative="greater").pvalue
        assert worse(Seen(n, a, 1.0, None), Seen(m, b, 1.0, None)) == pytest.approx(p, rel=1e-9)

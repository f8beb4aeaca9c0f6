"""One command each: processing, 28 trainings, registry, release, endpoint, canary, roll-back, destroy. Under the
least-privilege documents, and nothing is left."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from cloud_world import PREFIX, SECRETS, World, add_models, dumped, signer_of
from fake_aws import ACCOUNT
from fake_traffic import Behaviour
from test_deployment import nothing_left

from bqx.base.secret import Secret
from bqx.cli.main import main
from bqx.ops.cloud import cloud as cloud_module
from bqx.ops.cloud.aws import Aws
from bqx.ops.cloud.permissions import BY_OPERATION


class _Secrets:
    def get(self, name: str) -> Secret:
        return Secret(SECRETS[name])


@pytest.fixture
def bqx(world: Callable[[int], World], monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Any:
    """bqx("apply") -> exit code and JSON of `bqx cloud apply`, in a project of 28 pairs."""
    w = world(28)
    w.fake.documents = w.policies()
    w.fake.things.busy = 0
    made: list[Aws] = []
    init = Aws.__init__

    def kept(aws: Aws, *args: Any, **kwargs: Any) -> None:
        init(aws, *args, **kwargs)
        made.append(aws)

    monkeypatch.setattr(Aws, "__init__", kept)
    monkeypatch.setattr(cloud_module, "SYSTEM", w.clock)
    monkeypatch.setattr("bqx.base.secrets.provider_from", lambda config: _Secrets())

    def run(*args: str) -> tuple[int, Any, str]:
        code = 0
        try:
            main(["-C", str(w.root), "cloud", *args, "--json"])
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return code, json.loads(out) if out else None, err

    return w, run, made


def test_end_to_end(bqx: Any) -> None:
    w, run, made = bqx
    code, plan, _ = run("plan")
    assert (code, plan["pending"]) == (0, 33)
    assert run("apply")[0] == 0
    code, done, _ = run("submit", "processing", "--dataset", "seed")
    assert (code, len(done["done"])) == (0, 1)
    code, done, _ = run("submit", "training", "--dataset", "seed", "--run", "first", "--set", "estimator=ridge")
    assert (code, len(done["done"]), done["failed"]) == (0, 28, {})
    assert w.fake.things.most_running["TrainingJob"] == 28
    job = w.fake.things.all["TrainingJob"][done["done"]["eurusd"]]
    assert job["HyperParameters"] == {"pair": "eurusd", "dataset": "seed", "run": "first", "estimator": "ridge"}
    assert w.fake.has_object(job["ModelArtifacts"]["S3ModelArtifacts"])

    add_models(w.root, signer_of(w.root), ("eurusd",), "weak", state="pending")
    code, sent, _ = run("submit", "registry")
    assert code == 0
    approvals = [p["approval"] for p in sent["packages"]]
    assert (approvals.count("Approved"), approvals.count("PendingManualApproval")) == (28, 1)
    assert [p["approval"] for p in sent["packages"] if p["model"] == "eurusd:2"] == ["PendingManualApproval"]

    code, first, _ = run("submit", "release")
    assert (code, first["next"]) == (0, "`bqx cloud apply`")
    assert "eurusd:1" in first["release"]["models"].values(), "what has not passed its gates is not deployed"
    assert run("apply")[0] == 0
    code, seen, _ = run("verify")
    assert (code, len(seen["things"])) == (0, 41)
    endpoint = w.fake.things.all["Endpoint"][f"{PREFIX}-fx"]
    assert endpoint["EndpointStatus"] == "InService"
    assert w.fake.things.scaled == {f"endpoint/{PREFIX}-fx/variant/r-{first['release']['id']}"}

    # the second release: a good one, then a bad one, then back to the first
    w.clock.on_sleep = lambda: _minute(w)
    add_models(w.root, signer_of(w.root), ("usdjpy",), "second")
    code, second, _ = run("submit", "release")
    assert second["next"] == "`bqx cloud shift`"
    code, moved, _ = run("shift")
    assert (code, moved["outcome"], [x["share"] for x in moved["looks"]]) == (0, "done", [10, 50, 100])
    assert len(w.fake.traffic.loaded[f"r-{second['release']['id']}"]) == 28
    add_models(w.root, signer_of(w.root), ("audcad",), "third")
    third = run("submit", "release")[1]["release"]["id"]
    w.fake.traffic.behaviour[f"r-{third}"] = Behaviour(ms=900.0)
    code, _, error = run("shift")
    assert code == 5
    assert json.loads(error.splitlines()[-1])["error"]["code"] == "BQX890"
    assert "P99 is 900 ms" in error
    status = run("status")[1]
    assert (status["serving"]["id"], status["last_shift"]["outcome"]) == (second["release"]["id"], "rolled back")
    code, back, _ = run("shift", "--back")
    assert (code, back["to"]) == (0, first["release"]["id"])
    assert run("verify")[0] == 0

    # approval follows the registry: the model that was replaced is rejected there as here
    code, sent, _ = run("submit", "registry")
    changed = {p["model"]: p["approval"] for p in sent["packages"] if p["action"] == "changed"}
    assert changed == {"usdjpy:1": "Rejected", "audcad:1": "Rejected"}

    assert run("destroy")[0] == 2, "not without --yes"
    code, gone, _ = run("destroy", "--yes")
    assert code == 0
    assert {g["outcome"] for g in gone["things"]} == {"removed"}
    nothing_left(w, w.open())

    every = [c for aws in made for c in aws.calls]
    assert len(every) > 500
    for aws in made:
        assert w.not_allowed(aws) == []
    theirs = {(s, o) for s, o in w.fake.seen if (s, o) in BY_OPERATION}
    assert theirs <= {(c.service, c.operation) for c in every}, "something was called past the one place"
    said = dumped(w.root / "cloud" / "state.sqlite") + json.dumps(status)
    assert ACCOUNT not in said
    assert not [s for s in SECRETS.values() if s in said]


def _minute(w: World) -> None:
    """28 pairs ask once a minute, as they would; one that is not answered raises."""
    for pair in sorted(w.fake.things.all["ModelPackageGroup"]):
        name = pair.rpartition("-")[2]
        row = json.dumps({"instances": [[None] * 3]}).encode()
        with w.fake.lock:
            for _ in range(3):
                w.fake.traffic.invoke({"EndpointName": f"{PREFIX}-fx", "TargetModel": f"{name}.tar.gz", "Body": row})

"""Plan, apply, verify, destroy: what is made is what is wanted, again nothing is done, in the end nothing is left."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from cloud_world import PREFIX, SECRETS, World, dumped, release
from fake_aws import ACCOUNT

from bqx.base.errors import CloudConflict, CloudDrift, DeploymentError
from bqx.ops.cloud import state as cloud_state
from bqx.ops.cloud.cloud import Cloud
from bqx.ops.cloud.destroy import left
from bqx.ops.cloud.kinds.all import KINDS
from bqx.ops.cloud.kinds.kind import differences
from bqx.ops.cloud.read import read_deployment
from bqx.ops.cloud.release import Release

WORDS = ("Describe", "List", "Get", "Head", "HEAD", "GET")


def nothing_left(w: World, c: Cloud) -> None:
    """Neither by our own listing nor in the servers."""
    assert left(c.aws, PREFIX) == []
    things = w.fake.things
    assert {k: v for k, v in things.all.items() if v} == {}
    assert not things.packages
    assert not things.scaled
    assert not things.tags


def test_a_deployment_from_nothing_to_nothing(world: Callable[[int], World]) -> None:
    w = world(1)
    w.fake.documents = w.policies()
    c = w.open()
    plan = c.plan()
    assert {x.action for x in plan} == {"create"}
    assert all(o.startswith(WORDS) for _, o in w.fake.seen), w.fake.seen
    assert len(c.apply()) == len(plan)
    release(c)
    made = {x.kind for x in c.apply()}
    assert {x.kind for x in plan} | made == {k.name for k in KINDS} - {"feature-group"}
    things = c.verify()
    w.fake.seen.clear()
    assert c.apply() == []
    assert all(o.startswith(WORDS) for _, o in w.fake.seen), "nothing to do, and something was done"
    assert set(w.fake.things.all["ModelPackageGroup"]) == {f"{PREFIX}-eurusd"}
    model = next(iter(w.fake.things.all["Model"].values()))["PrimaryContainer"]
    assert model["Mode"] == "MultiModel"
    assert model["MultiModelConfig"] == {"ModelCacheSetting": "Enabled"}

    # somebody changes things behind our back
    config = next(iter(w.fake.things.all["EndpointConfig"]))
    c.aws.call("application-autoscaling", "RegisterScalableTarget", ServiceNamespace="sagemaker", MaxCapacity=9,
               ScalableDimension="sagemaker:variant:DesiredInstanceCount",
               ResourceId=f"endpoint/{PREFIX}-fx/variant/r-{c.serving.id}")  # fmt: skip
    del w.fake.things.all["MonitoringSchedule"][f"{PREFIX}-data-quality"]
    c.aws.call("s3", "PutBucketVersioning", Bucket=c.wanted()[2].name, VersioningConfiguration={"Status": "Suspended"})
    with pytest.raises(CloudDrift, match="3 of") as caught:
        c.verify()
    assert "MaxCapacity: wanted 4, is 9" in str(caught.value)
    assert {x.kind for x in c.apply()} == {"scaling", "monitoring-schedule", "bucket"}
    assert len(c.verify()) == len(things)

    # another instance: a new configuration beside the old one, then the endpoint, then the old one goes
    text = (w.root / "cloud.toml").read_text()
    (w.root / "cloud.toml").write_text(text + '\n[endpoint]\ninstance = "ml.m5.2xlarge"\n')
    c = w.open()
    assert [(x.action, x.kind) for x in c.apply()] == [
        ("create", "endpoint-config"), ("update", "endpoint"), ("delete", "endpoint-config"),
    ]  # fmt: skip
    assert config not in w.fake.things.all["EndpointConfig"]

    assert w.not_allowed(c.aws) == []
    said = json.dumps(c.status(), default=str) + dumped(c.state.path)
    assert ACCOUNT not in said
    assert not [s for s in SECRETS.values() if s in said]
    dry = c.destroy(dry_run=True)
    assert {g.outcome for g in dry} == {"would be removed"}
    c.verify()
    gone = c.destroy()
    assert [(g.kind, g.name) for g in gone] == [(g.kind, g.name) for g in dry]
    nothing_left(w, c)
    assert w.open().destroy() == []


def test_what_is_not_ours_is_never_touched(world: Callable[[int], World]) -> None:
    w = world(1)
    c = w.open()
    group = f"{PREFIX}-eurusd"
    w.fake.things.do("CreateModelPackageGroup", {"ModelPackageGroupName": group})
    before = dict(w.fake.things.all["ModelPackageGroup"])
    w.fake.seen.clear()
    with pytest.raises(CloudConflict, match="lacks the tag"):
        c.apply()
    assert all(o.startswith(WORDS) for _, o in w.fake.seen), "a taken name was found after something was changed"
    assert [(g.name, g.outcome) for g in c.destroy()] == [(group, "not ours")]
    w.fake.things.tags[w.fake.things.arn("ModelPackageGroup", group)] = {
        "bqx:deployment": PREFIX, "aws:cloudformation:stack-name": "foundation",
    }  # fmt: skip
    assert [(g.name, g.outcome) for g in c.destroy()] == [(group, "not ours")]
    assert w.fake.things.all["ModelPackageGroup"] == before


RELEASE = Release("abc123", {"eurusd": "eurusd:1"}, {"eurusd": "d" * 64}, {"eurusd": 3}, ("k",))


class Killed(BaseException):
    """As a kill -9 would: nothing of ours runs after it."""


def kill_at(monkeypatch: pytest.MonkeyPatch, point: str, hit: int) -> None:
    """From now on, the `hit`-th pass of a point ends the call."""
    count = 0

    def fault(name: str) -> None:
        nonlocal count
        count += name == point
        if name == point and count == hit:
            raise Killed

    monkeypatch.setattr(cloud_state, "fault", fault)


def test_killed_again_and_again_the_next_call_goes_on(
    world: Callable[[int], World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call is ended by its second change, made and not written down as done; so is each of `destroy`."""
    w = world(1)
    w.open().state.set("serving", RELEASE.as_dict())
    kills = 0
    while True:
        kill_at(monkeypatch, "after-cloud-call", 2)
        try:
            w.open().apply()
            break
        except Killed:
            kills += 1
    assert kills >= 7
    kill_at(monkeypatch, "", 0)
    w.open().verify()
    assert w.open().state.unfinished() == []
    removed = 0
    while True:
        kill_at(monkeypatch, "before-cloud-step" if removed % 2 else "after-cloud-call", 3)
        try:
            w.open().destroy()
            break
        except Killed:
            removed += 1
    assert removed >= 4
    kill_at(monkeypatch, "", 0)
    nothing_left(w, w.open())


@pytest.mark.parametrize("where", ["bucket", "endpoint"])
def test_half_applied_and_undone(world: Callable[[int], World], monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Killed with a bucket that has not got its tag yet, or with an endpoint that is being made."""
    w = world(1)
    c = w.open()
    with monkeypatch.context() as patch:
        if where == "bucket":
            patch.setattr("bqx.ops.cloud.kinds.bucket.Bucket.update", _killed)
        else:
            c.state.set("serving", RELEASE.as_dict())
            kill_at(patch, "after-cloud-call", 9)
        with pytest.raises(Killed):
            c.apply()
    c = w.open()
    assert [s["kind"] for s in c.state.unfinished()] == [where]
    assert {g.outcome for g in c.destroy()} == {"removed"}
    nothing_left(w, c)


def _killed(*_: Any) -> bool:
    raise Killed


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[canary]", "[canery]", r"cloud.toml:\d+, key canery .*did you mean canary"),
        ('region = "eu-west-1"', 'region = "moon"', r"cloud.toml:3, key deployment.region"),
        ("minutes = 3", "minutes = 30", "longest_minutes is below minutes"),
        ("hours = 1", "hours = 1\n[endpoint]\nmodel_mb = 900", "holds 13 models of 900 MB, the project has 28"),
        ("hours = 1", 'hours = 1\n[roles]\ntraining = "admin"', "does not begin with the prefix"),
        ("hours = 1", 'hours = 1\n[training]\nwait_minutes = 5', "wait_minutes 5 is below minutes 60"),
        ('owner = "desk"', '"bqx:x" = "y"', "reserved"),
    ],
)  # fmt: skip
def test_a_wrong_description_names_the_key(projects: Any, tmp_path: Any, old: str, new: str, said: str) -> None:
    text = (projects[28] / "cloud.toml").read_text()
    assert old in text
    (tmp_path / "cloud.toml").write_text(text.replace(old, new))
    with pytest.raises(DeploymentError, match=said):
        read_deployment(tmp_path, 28)


def test_differences_are_found() -> None:
    want = {"a": 1, "b": [{"c": "x"}], "d": True}
    assert differences(want, {**want, "more": 1}) == []
    assert [d.path for d in differences(want, {"a": 1.5, "b": [{"c": "y"}], "d": 1})] == ["a", "b[0].c"]
    assert [d.path for d in differences({"b": [1]}, {"b": [1, 2]})] == ["b"]
    assert [d.path for d in differences({"b": {"c": 1}}, {})] == ["b"]

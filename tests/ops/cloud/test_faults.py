"""What goes wrong in a cloud: said clearly, gone on with, and nothing left to be paid for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from cloud_world import PREFIX, World
from test_deployment import RELEASE, nothing_left

from bqx.base.errors import (
    CloudCredentials,
    CloudDenied,
    CloudError,
    CloudHalfMade,
    CloudQuota,
    CloudThrottled,
    LeftBehind,
)
from bqx.base.secret import Secret
from bqx.ops.cloud.aws import Aws
from bqx.ops.cloud.cloud import Cloud
from bqx.ops.cloud.refusals import sort


@pytest.fixture
def begun(world: Callable[[int], World]) -> Callable[[], tuple[World, Cloud]]:
    """One pair, a release that serves, nothing made yet."""

    def make() -> tuple[World, Cloud]:
        w = world(1)
        c = w.open()
        c.state.set("serving", RELEASE.as_dict())
        return w, c

    return make


def at(operation: str, *answers: Any) -> Callable[[str, str, int], Any]:
    """The first calls of an operation get these answers, the last of them for ever when it is repeated."""
    return lambda s, o, n: answers[min(n, len(answers)) - 1] if o == operation else None


THROTTLED = ("ThrottlingException", "Rate exceeded")
FAULTS = {
    "throttled": ("CreateModel", THROTTLED, CloudThrottled, "Rate exceeded"),
    "expired": ("CreateEndpointConfig", ("ExpiredTokenException", "The security token has expired"), CloudCredentials,
                "expired"),
    "denied": ("CreateEndpoint", ("AccessDeniedException", "not authorized to perform sagemaker:CreateEndpoint"),
               CloudDenied, "CreateEndpoint"),
    "quota": ("CreateEndpoint", ("ResourceLimitExceeded", "ml.m5.xlarge for endpoint usage is 0 Instances"), CloudQuota,
              "ml.m5.xlarge"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_refused_gone_on_with_and_undone(begun: Any, name: str) -> None:
    w, c = begun()
    operation, answer, error, said = FAULTS[name]
    w.fake.fault = at(operation, answer)
    with pytest.raises(error, match=said) as caught:
        c.apply()
    assert operation in str(caught.value)
    assert caught.value.fix or caught.value.next_step
    assert [s["outcome"] for s in c.state.unfinished()] == ["failed"]
    w.fake.fault = lambda *_: None
    if name in ("throttled", "denied"):
        assert "endpoint" in {x.kind for x in w.open().apply()}
        c.verify()
        assert c.state.unfinished() == []
    assert {g.outcome for g in w.open().destroy()} == {"removed"}
    nothing_left(w, c)


def test_an_endpoint_that_fails_once_is_made_again_and_one_that_always_does_is_named(begun: Any) -> None:
    w, c = begun()
    reasons = ["the container does not answer /ping"]
    w.fake.things.endpoint_end = lambda name, config: reasons.pop() if reasons else ""
    c.apply()
    assert w.fake.counts["sagemaker", "CreateEndpoint"] == 2
    c.verify()
    w.fake.things.endpoint_end = lambda name, config: "no capacity"
    w.fake.things.all["Endpoint"][f"{PREFIX}-fx"]["EndpointStatus"] = "Failed"
    with pytest.raises(CloudHalfMade, match=r"endpoint bqx-test-fx does not come up as wanted: no capacity"):
        w.open().apply()
    assert {g.outcome for g in c.destroy()} == {"removed"}
    nothing_left(w, c)


def test_lost_answers_and_cut_connections_are_asked_again(begun: Any) -> None:
    """An answer that does not come after the thing was made: found there, and kept."""
    w, c = begun()
    creates = {"CreateModel", "CreateEndpoint", "CreateModelPackageGroup", "CreateMonitoringSchedule", "CreateTopic",
               "CreateBudget", "CreateSecret"}  # fmt: skip
    w.fake.fault = lambda s, o, n: "lost" if o in creates and n == 1 else "cut" if o == "ListTags" and n < 3 else None
    c.apply()
    w.fake.fault = lambda *_: None
    c.verify()
    assert {o for (_, o), n in w.fake.counts.items() if o in creates and n == 2} == creates
    w.fake.fault = lambda s, o, n: "lost" if o.startswith("Delete") and n == 1 else None
    assert {g.outcome for g in c.destroy()} == {"removed"}
    nothing_left(w, c)


def test_one_refusal_does_not_stop_a_destroy(begun: Any) -> None:
    w, c = begun()
    c.apply()
    w.fake.fault = at("DeleteEndpoint", ("AccessDeniedException", "not authorized"))
    with pytest.raises(LeftBehind, match="endpoint bqx-test-fx: BQX884") as caught:
        c.destroy()
    assert "model bqx-test-abc123" in str(caught.value), "what it uses stays, too"
    assert set(w.fake.things.all["ModelPackageGroup"]) == set()
    w.fake.fault = lambda *_: None
    c.destroy()
    nothing_left(w, c)


def test_expired_keys_are_asked_for_again_once(world: Callable[[int], World]) -> None:
    w, asked = world(1), 0

    def keys() -> Secret:
        nonlocal asked
        asked += 1
        return Secret(
            json.dumps({"access_key_id": "AK" + "TEST", "secret_access_key": "s" * 9, "session_token": "t" * 9})
        )

    aws = Aws("eu-west-1", keys=keys, clock=w.clock)
    expired = ("ExpiredTokenException", "The security token included in the request is expired")
    w.fake.fault = at("ListModels", expired, None)
    assert aws.call("sagemaker", "ListModels")["Models"] == []
    assert asked == 3, "for the first client, for sts, and again for new ones"
    w.fake.fault = at("ListEndpoints", expired)
    with pytest.raises(CloudCredentials, match="expired"):
        aws.call("sagemaker", "ListEndpoints")


def test_a_call_that_the_policy_does_not_allow_is_named(begun: Any) -> None:
    w, c = begun()
    w.fake.documents = [{**d, "Statement": [s for s in d["Statement"] if "sagemaker:CreateModel" not in s["Action"]]}
                        for d in w.policies()]  # fmt: skip
    with pytest.raises(CloudDenied, match="not authorized to perform sagemaker:CreateModel on"):
        c.apply()
    w.fake.documents = w.policies()
    c.apply()
    assert w.not_allowed(c.aws) == []


@pytest.mark.parametrize(
    ("code", "said", "kind"),
    [
        ("ValidationException", "Could not find endpoint", "absent"),
        ("ValidationException", "Cannot create already existing model", "conflict"),
        ("ValidationException", "Cannot update in-progress endpoint", "conflict"),
        ("ValidationException", "1 validation error detected", "other"),
        ("ThrottlingException", "", "again"),
        ("NoCredentialsError", "", "credentials"),
        ("AccessDenied", "", "denied"),
        ("ResourceLimitExceeded", "", "quota"),
        ("NoSuchBucket", "", "absent"),
        ("Whatever", "does not exist", "other"),
    ],
)
def test_what_codes_mean(code: str, said: str, kind: str) -> None:
    assert sort(code, said) == kind


def test_no_error_shows_the_account(begun: Any) -> None:
    w, c = begun()
    c.aws.account  # noqa: B018 - known from here on
    w.fake.fault = at("CreateModel", ("AccessDeniedException", f"User: arn:aws:iam::{c.aws.account}:user/x may not"))
    with pytest.raises(CloudError) as caught:
        c.apply()
    assert c.aws.account not in str(caught.value)
    assert "ACCOUNT" in str(caught.value)


@pytest.mark.parametrize("point", ["after-cloud-call:6"])
def test_kill_9_of_the_command(begun: Any, point: str) -> None:
    """The real thing: SIGKILL in mid-apply, then the same command in a new process."""
    w, c = begun()
    for name, value in (("alerts-mail", "desk@" + "example.org"), ("model-signing-key", "k" * 30)):
        folder = w.root.parent / "secrets"
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / name).write_text(value)
        (folder / name).chmod(0o600)
    with (w.root / "bqx.toml").open("a") as file:
        file.write("\n")
    toml = (w.root / "bqx.toml").read_text().replace('provider = "none"', f'provider = "file"\npath = "{folder}"')
    (w.root / "bqx.toml").write_text(toml)
    command = [sys.executable, "-m", "bqx.cli.main", "-C", str(w.root), "cloud", "apply"]
    command = [sys.executable, "-c", "from bqx.cli.main import main; main()", *command[3:]]
    done = subprocess.run(command, env={**os.environ, "BQX_FAULT": point}, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [s["outcome"] for s in c.state.unfinished()] == ["begun"]
    made = [(s["kind"], s["name"]) for s in c.state.steps() if s["outcome"] == "done"]
    w.fake.seen.clear()
    c.apply()
    again = [(s["kind"], s["name"]) for s in c.state.steps() if s["action"] == "create"]
    assert all(again.count(m) == 1 for m in made), "what was done is not done again"
    c.verify()
    assert c.state.unfinished() == []

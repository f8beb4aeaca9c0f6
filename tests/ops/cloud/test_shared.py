"""Operations that moto and our fake both have: the same calls by our adapters, the same assertions."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from cloud_world import PREFIX, World

from bqx.ops.cloud import names
from bqx.ops.cloud.aws import Aws
from bqx.ops.cloud.jobs import requests
from bqx.ops.cloud.jobs.kinds import PROCESSING, TRAINING, TUNING
from bqx.ops.cloud.kinds.kind import Wanted, differences
from bqx.ops.cloud.kinds.sagemaker import ENDPOINT, ENDPOINT_CONFIG, FEATURE_GROUP, MODEL, PACKAGE_GROUP
from bqx.ops.cloud.packages import _package
from bqx.ops.cloud.refusals import CloudAbsent
from bqx.ops.cloud.release import Release
from bqx.ops.cloud.wanted import config_of, model_of
from bqx.research.registry.model import Model

MOTO_DIFFERS = {"ProcessingResources", "AlgorithmSpecification"}
"""What moto 5.2 gives back otherwise than it was given: it fills in, and drops the environment of jobs."""
MOTO: dict[str, Any] = {}
"""Clients, by service."""
RELEASE = Release("abc123", {"eurusd": "eurusd:1"}, {"eurusd": "d" * 64}, {"eurusd": 3}, ("k",))


@pytest.fixture(params=["moto", "fake"])
def account(request: pytest.FixtureRequest, world: Callable[[int], World], monkeypatch: pytest.MonkeyPatch) -> World:
    """Everything at one address, or SageMaker at our fake."""
    w = world(3)
    w.fake.things.on_done = lambda *_: None  # there are no buckets to write to
    if request.param == "moto":
        monkeypatch.setenv("AWS_ENDPOINT_URL", w.fake.moto.endpoint)
        monkeypatch.setattr(Aws, "_connect", _own(Aws._connect.__closure__))
    return w


def _is_moto(aws: Aws) -> bool:
    return ":moto" in os.environ["PYTEST_CURRENT_TEST"] or "[moto" in os.environ["PYTEST_CURRENT_TEST"]


def _own(closure: Any) -> Any:
    """Connections of their own to moto, shared by these tests."""
    connect = next(c.cell_contents for c in closure if callable(c.cell_contents))

    def shared(aws: Aws, service: str) -> Any:
        if service not in MOTO:
            MOTO[service] = connect(aws, service)
        return MOTO[service]

    return shared


def _look(aws: Aws, kind: Any, name: str, looks: int = 4) -> Any:
    """As soon as it is no longer being made."""
    for _ in range(looks):
        have = kind.have(aws, name)
        if have is None or have.status != "busy":
            return have
    raise AssertionError(f"{name} stays busy")


def test_serving(account: World) -> None:
    c = account.open()
    aws, d = c.aws, c.deployment
    both = [(RELEASE, 100), (Release("def456", RELEASE.models, RELEASE.digests, RELEASE.columns), 0)]
    models, config = [model_of(aws, d, r) for r, _ in both], config_of(aws, d, both)
    endpoint = Wanted("endpoint", names.endpoint(d.prefix), {"EndpointConfigName": config.name}, d.tags)
    for kind, want in [*((MODEL, m) for m in models), (ENDPOINT_CONFIG, config), (ENDPOINT, endpoint)]:
        assert kind.have(aws, want.name) is None
        kind.create(aws, want)
        have = _look(aws, kind, want.name)
        assert differences(want.values, have.values) == []
        assert have.owned(PREFIX)
        assert not have.owned("bqx-tes")
        assert kind.listed(aws, PREFIX) == sorted([want.name, *(m.name for m in models[:1] if want is models[1])])
        assert kind.listed(aws, "bqx-tes") == []
    aws.call("sagemaker", "UpdateEndpointWeightsAndCapacities", EndpointName=endpoint.name,
             DesiredWeightsAndCapacities=[{"VariantName": names.variant(r.id), "DesiredWeight": 50.0}
                                          for r, _ in both])  # fmt: skip
    shares = {v["VariantName"]: v["CurrentWeight"] for v in _look(aws, ENDPOINT, endpoint.name)
              .values["ProductionVariants"]}  # fmt: skip
    assert shares == {"r-abc123": 50.0, "r-def456": 50.0}
    for kind, want in [(ENDPOINT, endpoint), (ENDPOINT_CONFIG, config), *((MODEL, m) for m in models)]:
        kind.delete(aws, want.name)
        assert _look(aws, kind, want.name) is None
        kind.delete(aws, want.name)


def test_registry(account: World) -> None:
    c = account.open()
    aws, d = c.aws, c.deployment
    group = f"{d.prefix}-eurusd"
    PACKAGE_GROUP.create(aws, Wanted("package-group", group, {"ModelPackageGroupDescription": "x"}, d.tags))
    assert _look(aws, PACKAGE_GROUP, group).owned(PREFIX)
    assert PACKAGE_GROUP.listed(aws, PREFIX) == [group]
    facts = {"dataset": "container"}
    for version, digest in ((1, "a" * 64), (2, "b" * 64)):
        model = Model("eurusd", version, digest, "p", "run", "h", "pending", True, facts, "now", "now")
        args = _package(aws, d, model, "PendingManualApproval", f"s3://{d.prefix}-models-x/a.tar.gz")
        made = aws.call("sagemaker", "CreateModelPackage", **args)["ModelPackageArn"]
        aws.call("sagemaker", "UpdateModelPackage", ModelPackageArn=made, ModelApprovalStatus="Approved")
        said = aws.call("sagemaker", "DescribeModelPackage", ModelPackageName=made)
        assert said["ModelApprovalStatus"] == "Approved"
        assert said["ModelPackageVersion"] == version
        assert differences(args["InferenceSpecification"], said["InferenceSpecification"]) == []
        if not _is_moto(aws):  # moto keeps no metadata
            assert said["CustomerMetadataProperties"]["digest"] == digest
    listed = list(aws.pages("sagemaker", "ListModelPackages", "ModelPackageSummaryList", ModelPackageGroupName=group))
    assert {p["ModelPackageVersion"] for p in listed} == {1, 2}


@pytest.mark.parametrize("kind", [PROCESSING, TRAINING, TUNING], ids=lambda k: k.name)
def test_jobs(account: World, kind: Any) -> None:
    c = account.open()
    make = {"processing": lambda: requests.processing(c.aws, c.deployment, "container"),
            "training": lambda: requests.training(c.aws, c.deployment, "eurusd", "container", "run"),
            "tuning": lambda: requests.tuning(c.aws, c.deployment, "eurusd", "container", "run")}  # fmt: skip
    args, name = make[kind.name](), f"{PREFIX}-x-0"
    assert kind.look(c.aws, name) is None
    kind.begin(c.aws, name, args)
    for _ in range(4):
        said = kind.look(c.aws, name)
        if said[kind.status] == "Completed":
            break
    assert said[kind.status] in ("Completed", "InProgress")
    assert kind.listed(c.aws, PREFIX) == [name]
    wanted = {k: v for k, v in args.items() if k not in ("Tags", "ContainerArguments")}
    lacking = {d.path.partition(".")[0] for d in differences(wanted, said)}
    assert lacking <= (MOTO_DIFFERS | {"Environment"} if _is_moto(c.aws) else set()), lacking


def test_feature_groups(account: World) -> None:
    from bqx.ops.cloud.feature_groups import group_values, split

    c = account.open()
    found = split([{"FeatureName": f"f{k}", "FeatureType": "Fractional"} for k in range(4)])
    values = group_values(found[0], names.role_arn(c.aws, c.deployment, "processing"), f"{PREFIX}-data-x", online=False)
    want = Wanted("feature-group", f"{PREFIX}-features-0", values, c.deployment.tags)
    FEATURE_GROUP.create(c.aws, want)
    said = c.aws.call("sagemaker", "DescribeFeatureGroup", FeatureGroupName=want.name)
    assert differences(values, said) == []
    if not _is_moto(c.aws):  # moto knows no tags of feature groups, and nothing of absent ones
        assert _look(c.aws, FEATURE_GROUP, want.name).owned(PREFIX)
        assert FEATURE_GROUP.have(c.aws, f"{PREFIX}-none") is None


def test_absent_is_absent(account: World) -> None:
    aws = account.open().aws
    for noun in ("Model", "EndpointConfig", "Endpoint", "ModelPackageGroup", "TrainingJob"):
        with pytest.raises(CloudAbsent):
            aws.call("sagemaker", f"Describe{noun}", **{f"{noun}Name": f"{PREFIX}-none"})

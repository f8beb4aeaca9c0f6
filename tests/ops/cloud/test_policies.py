"""Least privilege: documents come from the table, allow what is called, and the linter finds what allows too much."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from cloud_world import PREFIX
from fake_aws import ACCOUNT, REGION
from fake_model import service
from moto.iam.access_control import IAMPolicy, PermissionResult

from bqx.base.errors import PolicyError
from bqx.ops.cloud import policy
from bqx.ops.cloud.permissions import PERMISSIONS, Need, needs
from bqx.ops.cloud.policy_check import allows, check, lint

VALUES = {"Partition": "aws", "Region": REGION, "Account": ACCOUNT, "Prefix": PREFIX}
WHERE = {"partition": "aws", "region": REGION, "account": ACCOUNT}
OWN = {"aws:ResourceTag/bqx:deployment": PREFIX, "aws:RequestTag/bqx:deployment": PREFIX,
       "application-autoscaling:service-namespace": "sagemaker"}  # fmt: skip


def filled() -> dict[str, Any]:
    return {n: policy.fill(policy.stored(n), VALUES) for n in policy.documents()}


def test_the_documents_that_ship_are_those_of_the_table_and_clean() -> None:
    made = policy.documents()
    assert {p.stem for p in policy.FOLDER.glob("*.json")} == set(made)
    for name, document in made.items():
        assert (policy.FOLDER / f"{name}.json").read_text() == policy.text_of(document), (
            "python -m bqx.ops.cloud.policy"
        )
    check(made)
    assert len(PERMISSIONS) > 90


def test_every_operation_is_one_of_the_service() -> None:
    for p in PERMISSIONS:
        assert p.operation in service(p.service).operation_names, p
        shape = service(p.service).operation_model(p.operation).input_shape
        if p.passes:
            assert p.passes.split(".")[0] in shape.members, p
        if p.tagged == "request":
            assert "Tags" in shape.members, p


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Action": ["sagemaker:*"]}, "has a wildcard"),
        ({"Action": ["sagemaker:CreateModel"], "Resource": ["*"]}, "on every resource"),
        ({"Resource": ["arn:${Partition}:sagemaker:${Region}:${Account}:model/*"]}, "does not name the prefix"),
        ({"Resource": ["arn:${Partition}:sagemaker:*:*:model/${Prefix}-*"]}, "is no ARN, or a wildcard"),
        ({"Resource": ["arn:${Partition}:sagemaker:${Region}:1:model/${Prefix}-*"]}, "not bound to the account"),
        ({"Action": ["iam:PassRole"]}, "without iam:PassedToService"),
        ({"Action": ["cloudwatch:PutMetricData"], "Resource": ["*"]}, "without a namespace"),
        ({"Effect": "Deny"}, "only Allow"),
        ({"NotAction": ["s3:GetObject"]}, "only Allow"),
        ({"Resource": ["arn:${Partition}:s3:::*"]}, "does not begin with the prefix"),
    ],
)
def test_the_linter_finds(change: dict[str, Any], said: str) -> None:
    good = {"Effect": "Allow", "Action": ["sagemaker:DescribeModel"],
            "Resource": ["arn:${Partition}:sagemaker:${Region}:${Account}:model/${Prefix}-*"]}  # fmt: skip
    assert lint("x", {"Version": policy.VERSION, "Statement": [good]}) == []
    with pytest.raises(PolicyError, match=said):
        check({"x": {"Version": policy.VERSION, "Statement": [{**good, **change}]}})


def test_too_long_a_document_is_found() -> None:
    document = copy.deepcopy(policy.operator_document("serve"))
    document["Statement"] *= 4
    assert any("characters" in b for b in lint("x", document))


def _args(p: Any, name: str) -> dict[str, Any]:
    """Arguments that name one thing for every place of the templates."""
    out: dict[str, Any] = {"Tags": [{"Key": "bqx:deployment", "Value": PREFIX}]}
    for template in p.resources:
        for place in policy._PLACE.findall(template):
            if place in WHERE:
                continue
            first, _, second = place.partition(".")
            value = "some/key" if place == "Key" else f"{PREFIX}/{name}" if ":secret:" in template else name
            out[first] = {second: value} if second else value
    if p.passes:
        head, *rest = p.passes.split(".")
        value = f"arn:aws:iam::{ACCOUNT}:role/{PREFIX}-training"
        for part in reversed(rest):
            value = {part: value}  # type: ignore[assignment]
        out[head] = value
    return out


def test_what_is_ours_is_allowed_and_what_is_another_s_is_not() -> None:
    """By our evaluator, and actions and resources by moto's as well."""
    documents = [d for n, d in filled().items() if n.startswith("operator-")]
    plain = [{**d, "Statement": [{k: v for k, v in s.items() if k != "Condition"} for s in d["Statement"]]}
             for d in documents]  # fmt: skip
    others = [IAMPolicy(json.dumps(d)) for d in plain]

    def moto(need: Need) -> bool:
        return any(o.is_action_permitted(need.action, need.resource) == PermissionResult.PERMITTED for o in others)

    checked = 0
    for p in PERMISSIONS:
        for need in needs(p, _args(p, f"{PREFIX}-thing"), WHERE):
            assert allows(documents, Need(need.action, need.resource, {**need.context, **OWN})), need
            assert moto(need), need
            checked += 1
        for need in needs(p, _args(p, "other-thing"), WHERE):
            if "other-thing" in need.resource:
                foreign = Need(need.action, need.resource.replace(f"{PREFIX}/", ""), {**need.context, **OWN})
                assert not allows(documents, foreign), foreign
                assert not moto(foreign), foreign
                checked += 1
        if p.tagged == "resource":
            for need in needs(p, _args(p, f"{PREFIX}-thing"), WHERE):
                if need.action != "iam:PassRole":
                    assert not allows(documents, need), f"{need} without our tag"
        if p.tagged == "request":
            untagged = {k: v for k, v in _args(p, f"{PREFIX}-thing").items() if k != "Tags"}
            assert not all(allows(documents, n) for n in needs(p, untagged, WHERE)), p
    assert checked > 150


def test_a_role_may_be_passed_to_the_service_only() -> None:
    documents = [d for n, d in filled().items() if n.startswith("operator-")]
    role = f"arn:aws:iam::{ACCOUNT}:role/{PREFIX}-training"
    assert allows(documents, Need("iam:PassRole", role, {"iam:PassedToService": "sagemaker.amazonaws.com"}))
    assert not allows(documents, Need("iam:PassRole", role, {"iam:PassedToService": "ec2.amazonaws.com"}))
    assert not allows(documents, Need("iam:PassRole", role.replace(PREFIX, "admin"),
                                      {"iam:PassedToService": "sagemaker.amazonaws.com"}))  # fmt: skip


def test_boto3_is_called_from_one_place() -> None:
    """No other file of the adapters imports it, so nothing is called that is not in the table and recorded."""
    home = policy.FOLDER.parent
    users = {p.name for p in home.rglob("*.py") if "boto3" in p.read_text().replace("boto3 is", "")}
    assert users == {"aws.py"}
    assert {p.name for p in home.rglob("*.py") if "botocore" in p.read_text()} == {"aws.py"}
    assert [
        p.name for p in (home / "..").resolve().parent.joinpath("cli").glob("cloud*.py") if "boto" in p.read_text()
    ] == []

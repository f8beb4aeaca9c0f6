"""The CloudFormation template: cfn-lint, our rules, each broken once, and the policies that `bqx cloud` is made for."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bqx.base.errors import StackError
from bqx.ops.container.stack import check_template, read_template

ROOT = Path(__file__).parents[3]
TEMPLATE = ROOT / "deploy" / "cloud" / "foundation.yaml"
POLICIES = ROOT / "src" / "bqx" / "ops" / "cloud" / "policies"
Change = Callable[[dict[str, Any]], Any]


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return read_template(TEMPLATE)


def test_cfn_lint_knows_no_fault_of_it() -> None:
    from cfnlint.api import ManualArgs, lint

    def said(text: str, region: str) -> list[str]:
        found = lint(text, config=ManualArgs(regions=[region]))
        return [f"{m.rule.id} line {m.linenumber}: {m.message}" for m in found]

    text = TEMPLATE.read_text()
    assert said(text, "us-east-1") == []
    assert said(text.replace("RetentionInDays", "RetentionInWeeks", 1), "eu-west-1") != []


def test_our_rules_hold(template: dict[str, Any]) -> None:
    assert check_template(template) == []


def of(name: str) -> Change:
    return lambda t: t["Resources"][name]["Properties"]


@pytest.mark.parametrize(
    ("where", "change", "rule"),
    [
        ("Archive", lambda p: p["PublicAccessBlockConfiguration"].update(BlockPublicPolicy=False), "public"),
        ("Archive", lambda p: p.pop("BucketEncryption"), "encrypted"),
        ("Archive", lambda p: p.pop("VersioningConfiguration"), "versioned"),
        ("Archive", lambda p: p.pop("Tags"), "tagged"),
        ("ArchivePolicy", lambda p: p["PolicyDocument"]["Statement"].pop(0), "tls"),
        ("AccessLogsPolicy", lambda p: p["PolicyDocument"]["Statement"].append(
            {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"], "Resource": ["x"]}), "public"),
        ("TrainingLogs", lambda p: p.pop("RetentionInDays"), "retention"),
        ("TrainingLogs", lambda p: p.pop("KmsKeyId"), "encrypted"),
        ("Alerts", lambda p: p.pop("KmsMasterKeyId"), "encrypted"),
        ("Key", lambda p: p.update(EnableKeyRotation=False), "rotation"),
        ("TrainingImages", lambda p: p.update(ImageTagMutability="MUTABLE"), "images"),
        ("TrainingImages", lambda p: p.pop("ImageScanningConfiguration"), "images"),
        ("TrainingRole", lambda p: p["Policies"][0]["PolicyDocument"]["Statement"][0].update(Action=["logs:*"]),
         "wildcard"),
        ("TrainingRole", lambda p: p["Policies"][0]["PolicyDocument"]["Statement"][-1].update(Resource="*"),
         "wildcard"),
        ("TrainingRole", lambda p: p["Policies"][1]["PolicyDocument"]["Statement"][1]["Fn::If"][1].pop("Condition"),
         "wildcard"),
        ("TrainingRole", lambda p: p.update(ManagedPolicyArns=["x"]), "privilege"),
        ("TrainingRole", lambda p: p["AssumeRolePolicyDocument"]["Statement"][0].pop("Condition"), "trust"),
        ("TrainingRole", lambda p: p["AssumeRolePolicyDocument"]["Statement"][0].update(Principal={"AWS": "x"}),
         "trust"),
        ("SubnetA", lambda p: p.update(MapPublicIpOnLaunch=True), "public"),
        ("ServicesGroup", lambda p: p["SecurityGroupIngress"][0].update(CidrIp="0.0.0.0/0"), "public"),
    ],
)  # fmt: skip
def test_a_planted_fault_breaks_its_rule(template: dict[str, Any], where: str, change: Change, rule: str) -> None:
    broken = copy.deepcopy(template)
    change(of(where)(broken))
    assert rule in {b.rule for b in check_template(broken)}


def test_faults_of_the_whole_template(template: dict[str, Any]) -> None:
    broken = copy.deepcopy(template)
    del broken["Resources"]["Archive"]["DeletionPolicy"]
    broken["Resources"]["Gate"] = {"Type": "AWS::EC2::InternetGateway"}
    broken["Parameters"]["DatabasePassword"] = {"Type": "String"}
    broken["Description"] = "for account " + "1234" * 3
    assert {(b.resource, b.rule) for b in check_template(broken)} == {
        ("Archive", "kept"), ("Gate", "public"), ("DatabasePassword", "secret"), ("template", "literal"),
    }  # fmt: skip


def test_what_is_no_template_is_refused(tmp_path: Path) -> None:
    for text in ("a: !Ref x", "Resources: 3", "[", "x: 1"):
        (tmp_path / "t.yaml").write_text(text)
        with pytest.raises(StackError):
            read_template(tmp_path / "t.yaml")


@pytest.mark.parametrize("job", ["processing", "training", "inference"])
def test_roles_allow_what_bqx_cloud_says_they_need(template: dict[str, Any], job: str) -> None:
    """Statement for statement, but for what CloudFormation fills in; and no names of the account's owner."""
    if not POLICIES.is_dir():
        pytest.skip("the cloud adapters are not in this checkout")
    role = template["Resources"][f"{job.capitalize()}Role"]["Properties"]
    ours = json.dumps(role["Policies"][0]["PolicyDocument"]["Statement"])
    for theirs, filled in (("Partition", "AWS::Partition"), ("Region", "AWS::Region"), ("Account", "AWS::AccountId")):
        ours = ours.replace("${" + filled + "}", "${" + theirs + "}")
    wanted = json.loads((POLICIES / f"role-{job}.json").read_text())["Statement"]
    assert _plain(json.loads(ours)) == wanted
    trust = json.loads((POLICIES / "role-trust.json").read_text())["Statement"]
    said = role["AssumeRolePolicyDocument"]["Statement"]
    assert [s["Principal"] for s in said] == [s["Principal"] for s in trust]
    assert role["RoleName"] == {"Fn::Sub": "${Prefix}-" + job}


def _plain(value: Any) -> Any:
    """With Fn::Sub taken off."""
    if isinstance(value, dict):
        return value["Fn::Sub"] if set(value) == {"Fn::Sub"} else {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list) else value

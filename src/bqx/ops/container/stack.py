"""Rules that our CloudFormation template keeps, beside what cfn-lint knows of the provider's own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bqx.base.errors import StackError

KEPT = ("AWS::S3::Bucket", "AWS::KMS::Key", "AWS::ECR::Repository", "AWS::Logs::LogGroup")
"""What holds data, or reads it: removed by hand only."""
TAGGED = (*KEPT, "AWS::IAM::Role", "AWS::SNS::Topic", "AWS::CloudWatch::Alarm", "AWS::EC2::VPC", "AWS::EC2::Subnet")
WAYS_OUT = ("AWS::EC2::InternetGateway", "AWS::EC2::NatGateway", "AWS::EC2::VPCGatewayAttachment", "AWS::EC2::EIP")
ANYWHERE = {
    "ecr:GetAuthorizationToken": False,
    "cloudwatch:PutMetricData": True,
    **{f"ec2:{verb}": True for verb in (
        "CreateNetworkInterface", "CreateNetworkInterfacePermission", "DeleteNetworkInterface",
        "DeleteNetworkInterfacePermission", "DescribeDhcpOptions", "DescribeNetworkInterfaces",
        "DescribeSecurityGroups", "DescribeSubnets", "DescribeVpcs",
    )},
}  # fmt: skip
"""Actions that know no resource, and whether they must have a condition."""
_ACCOUNT = re.compile(r"(?<!\d)\d{12}(?!\d)")
_KEY_ID = re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b")


@dataclass(frozen=True)
class Broken:
    """A rule that a resource of the template breaks."""

    resource: str
    rule: str
    what: str


Template = dict[str, Any]


def read_template(path: Path) -> Template:
    """From YAML or JSON in the long form (Ref, Fn::Sub); StackError for what is no template."""
    import yaml  # type: ignore[import-untyped]

    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        fix = "write Ref and Fn::Sub as keys: short tags (!Ref) are not read"
        raise StackError(f"it cannot be read: {type(error).__name__}", where=str(path), fix=fix) from error
    if not isinstance(data, dict) or not isinstance(data.get("Resources"), dict) or not data["Resources"]:
        raise StackError("a template has Resources", where=str(path))
    return data


def check_template(template: Template) -> list[Broken]:
    """Every broken rule, by resource; empty when all hold."""
    found = []
    for name, resource in template["Resources"].items():
        kind, values = resource.get("Type", ""), resource.get("Properties") or {}
        for rule in _RULES.get(kind, ()):
            found += [Broken(name, *said) for said in rule(values, name, template)]
        if kind in KEPT and not resource.get("DeletionPolicy") == resource.get("UpdateReplacePolicy") == "Retain":
            found.append(Broken(name, "kept", "DeletionPolicy and UpdateReplacePolicy are not Retain"))
        if kind in TAGGED and not any(t.get("Key") == "bqx:deployment" for t in values.get("Tags") or ()):
            found.append(Broken(name, "tagged", "it does not bear the tag bqx:deployment"))
        if kind in WAYS_OUT:
            found.append(Broken(name, "public", f"{kind} opens a way out of the network"))
        for where, statement in _statements(values):
            found += [Broken(name, *said) for said in _statement(where, statement)]
    found += [Broken("template", "literal", text) for text in _literals(template)]
    for name, parameter in (template.get("Parameters") or {}).items():
        if re.search(r"(?i)secret|passw|token|credential|private_?key", name):
            found.append(Broken(name, "secret", "a secret is no parameter: containers ask Secrets Manager"))
        elif parameter.get("NoEcho"):
            found.append(Broken(name, "secret", "what must not be shown must not be a parameter"))
    return sorted(found, key=lambda b: (b.resource, b.rule, b.what))


Said = Iterator[tuple[str, str]]


def _bucket(values: Mapping[str, Any], name: str, template: Template) -> Said:
    closed = values.get("PublicAccessBlockConfiguration") or {}
    wanted = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    if any(closed.get(k) is not True for k in wanted):
        yield "public", "public access is not blocked in all four ways"
    rules = (values.get("BucketEncryption") or {}).get("ServerSideEncryptionConfiguration") or []
    if not any((r.get("ServerSideEncryptionByDefault") or {}).get("SSEAlgorithm") for r in rules):
        yield "encrypted", "the bucket is not encrypted"
    if (values.get("VersioningConfiguration") or {}).get("Status") != "Enabled":
        yield "versioned", "the bucket keeps no versions"
    denies = []
    for other in template["Resources"].values():
        theirs = other.get("Properties") or {}
        if other.get("Type") == "AWS::S3::BucketPolicy" and theirs.get("Bucket") == {"Ref": name}:
            denies += [s for _, s in _statements(theirs) if s.get("Effect") == "Deny"]
    only_tls = {"Bool": {"aws:SecureTransport": "false"}}
    if not any(s.get("Condition") == only_tls and s.get("Principal") == "*" and s.get("Action") == "s3:*"
               and len(_list(s.get("Resource"))) == 2 for s in denies):  # fmt: skip
        yield "tls", "no policy of the bucket refuses what comes without TLS"


def _logs(values: Mapping[str, Any], name: str, template: Template) -> Said:
    if not values.get("RetentionInDays"):
        yield "retention", "logs are kept for ever"
    if not values.get("KmsKeyId"):
        yield "encrypted", "logs are not encrypted with the key"


def _topic(values: Mapping[str, Any], name: str, template: Template) -> Said:
    if not values.get("KmsMasterKeyId"):
        yield "encrypted", "the topic is not encrypted"


def _repository(values: Mapping[str, Any], name: str, template: Template) -> Said:
    if (values.get("EncryptionConfiguration") or {}).get("EncryptionType") != "KMS":
        yield "encrypted", "images are not encrypted with the key"
    if values.get("ImageTagMutability") != "IMMUTABLE":
        yield "images", "a tag can be moved to another image"
    if (values.get("ImageScanningConfiguration") or {}).get("ScanOnPush") is not True:
        yield "images", "images are not scanned"


def _key(values: Mapping[str, Any], name: str, template: Template) -> Said:
    if values.get("EnableKeyRotation") is not True:
        yield "rotation", "the key is not rotated"


def _role(values: Mapping[str, Any], name: str, template: Template) -> Said:
    for statement in _list((values.get("AssumeRolePolicyDocument") or {}).get("Statement")):
        if set(statement.get("Principal") or {}) != {"Service"}:
            yield "trust", "others than a service may take the role on"
        if "aws:SourceAccount" not in json.dumps(statement.get("Condition") or {}):
            yield "trust", "the service may take the role on for other accounts"
    if values.get("ManagedPolicyArns"):
        yield "privilege", "managed policies allow more than a job needs"


def _group(values: Mapping[str, Any], name: str, template: Template) -> Said:
    for rule in _list(values.get("SecurityGroupIngress")):
        if rule.get("CidrIp") in ("0.0.0.0/0", "::/0") or rule.get("CidrIpv6") == "::/0":
            yield "public", "everybody may come in"


def _subnet(values: Mapping[str, Any], name: str, template: Template) -> Said:
    if values.get("MapPublicIpOnLaunch") is not False:
        yield "public", "the subnet gives public addresses"


_RULES: dict[str, tuple[Callable[[Mapping[str, Any], str, Template], Said], ...]] = {
    "AWS::S3::Bucket": (_bucket,),
    "AWS::Logs::LogGroup": (_logs,),
    "AWS::SNS::Topic": (_topic,),
    "AWS::ECR::Repository": (_repository,),
    "AWS::KMS::Key": (_key,),
    "AWS::IAM::Role": (_role,),
    "AWS::EC2::SecurityGroup": (_group,),
    "AWS::EC2::Subnet": (_subnet,),
}


def _statements(value: Any, where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """All policy statements of a resource, those in an Fn::If too; where : the property they are of."""
    if isinstance(value, dict):
        if value.get("Effect") in ("Allow", "Deny") and ("Action" in value or "NotAction" in value):
            yield where, value
            return
        for key, inner in value.items():
            yield from _statements(inner, where or str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _statements(inner, where)


def _statement(where: str, statement: Mapping[str, Any]) -> Said:
    if statement.get("Effect") != "Allow":
        return
    if {"NotAction", "NotResource", "NotPrincipal"} & set(statement):
        yield "wildcard", "what is not named is allowed"
    actions = _list(statement.get("Action"))
    for action in actions:
        if "*" in str(action):
            yield "wildcard", f"action {action}"
    conditioned = bool(statement.get("Condition"))
    if statement.get("Principal") == "*" or (statement.get("Principal") or {}) == {"AWS": "*"}:
        yield "public", "everybody is allowed something"
    if "*" in _list(statement.get("Resource")) and where != "KeyPolicy":
        for action in actions:
            if action not in ANYWHERE or (ANYWHERE[str(action)] and not conditioned):
                yield "wildcard", f"{action} on every resource"


def _literals(template: Template) -> Iterator[str]:
    """Account numbers and keys that stand in the template."""
    text = json.dumps(template)
    if _ACCOUNT.search(text):
        yield "twelve digits look like an account"
    if _KEY_ID.search(text):
        yield "an access key"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]

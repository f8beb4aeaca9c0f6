"""Least-privilege policy documents, made from the table of permissions; `python -m bqx.ops.cloud.policy` writes them.

Documents are data in `policies/`, with ${Partition}, ${Region}, ${Account} and ${Prefix} to be filled in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bqx.base.errors import PolicyError
from bqx.ops.cloud.description import OWNER
from bqx.ops.cloud.permissions import PERMISSIONS, SERVICE_OF, Permission, adds_tags

FOLDER = Path(__file__).with_name("policies")
VERSION = "2012-10-17"
GROUPS = ("serve", "registry", "jobs", "data", "watch")
_PLACE = re.compile(r"\{([A-Za-z.]+)\}")
_HEAD = {"partition": "${Partition}", "region": "${Region}", "account": "${Account}"}
_OWN = "${Prefix}-*"
_DATA, _MODELS = "arn:${Partition}:s3:::${Prefix}-data-*", "arn:${Partition}:s3:::${Prefix}-models-*"
Document = dict[str, Any]


def operator_document(group: str) -> Document:
    """What who runs `bqx cloud` must be allowed, of one group."""
    statements: dict[str, tuple[set[str], set[str], dict[str, Any]]] = {}

    def allow(action: str, resources: set[str], condition: dict[str, Any]) -> None:
        key = json.dumps([sorted(resources), condition], sort_keys=True)
        statements.setdefault(key, (set(), resources, condition))[0].add(action)

    for p in (p for p in PERMISSIONS if p.group == group):
        resources = {_pattern(r) for r in p.resources}
        for action in p.actions:
            allow(action, resources, _condition(p))
        if adds_tags(p):
            allow("sagemaker:AddTags", {_pattern(p.resources[0])}, _condition(p))
        if p.passes:
            role = f"arn:${{Partition}}:iam::${{Account}}:role/{_OWN}"
            allow("iam:PassRole", {role}, {"StringEquals": dict(SERVICE_OF)})
    merged: dict[str, tuple[set[str], set[str], dict[str, Any]]] = {}
    for actions, resources, condition in statements.values():  # the same actions on several kinds: one statement
        key = json.dumps([sorted(actions), condition], sort_keys=True)
        merged.setdefault(key, (actions, set(), condition))[1].update(resources)
    return _document([_statement(a, r, c) for a, r, c in merged.values()])


def role_documents() -> dict[str, Document]:
    """What the jobs' own roles must be allowed, and who may take them on."""
    logs = "arn:${Partition}:logs:${Region}:${Account}:log-group:/aws/sagemaker/*"
    common = [
        _statement({"logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"},
                   {logs}, {}),
        _statement({"ecr:GetAuthorizationToken"}, {"*"}, {}),
        _statement({"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"},
                   {"arn:${Partition}:ecr:${Region}:${Account}:repository/bqx-*"}, {}),
        _statement({"cloudwatch:PutMetricData"}, {"*"},
                   {"StringEquals": {"cloudwatch:namespace": ["bqx/${Prefix}", "/aws/sagemaker/ProcessingJobs",
                                                              "/aws/sagemaker/TrainingJobs",
                                                              "/aws/sagemaker/Endpoints"]}}),
    ]  # fmt: skip
    secret = _statement(
        {"secretsmanager:GetSecretValue"},
        {"arn:${Partition}:secretsmanager:${Region}:${Account}:secret:${Prefix}/*"},
        {},
    )

    def bucket(arn: str) -> Document:
        return _statement({"s3:ListBucket"}, {arn}, {})

    def objects(arn: str, *actions: str) -> Document:
        return _statement(set(actions), {f"{arn}/*"}, {})

    trust = {
        "Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": ["sts:AssumeRole"],
        "Condition": {"StringEquals": {"aws:SourceAccount": "${Account}"}},
    }  # fmt: skip
    return {
        "role-processing": _document(
            [*common, secret, bucket(_DATA), objects(_DATA, "s3:GetObject", "s3:PutObject")]
        ),
        "role-training": _document(
            [*common, secret, bucket(_DATA), objects(_DATA, "s3:GetObject"), bucket(_MODELS),
             objects(_MODELS, "s3:GetObject", "s3:PutObject")]
        ),
        "role-inference": _document(
            [*common, bucket(_MODELS), objects(_MODELS, "s3:GetObject"), objects(f"{_DATA}/capture", "s3:PutObject")]
        ),
        "role-trust": _document([trust]),
    }  # fmt: skip


def documents() -> dict[str, Document]:
    """All of them, by name."""
    return {**{f"operator-{g}": operator_document(g) for g in GROUPS}, **role_documents()}


def stored(name: str) -> Document:
    """A document as it ships; PolicyError when there is no such one."""
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        names = sorted(p.stem for p in FOLDER.glob("*.json"))
        raise PolicyError(f"there is no policy {name!r}", fix=f"there are {', '.join(names)}")
    data: Document = json.loads(path.read_text("utf-8"))
    return data


def fill(document: Document, values: Mapping[str, str]) -> Document:
    """The document of one deployment. values : Partition, Region, Account, Prefix."""
    text = json.dumps(document)
    for key, value in values.items():
        text = text.replace("${" + key + "}", value)
    filled: Document = json.loads(text)
    return filled


def text_of(document: Document) -> str:
    return json.dumps(document, indent=1) + "\n"


def _pattern(template: str) -> str:
    """The resource of a call as a policy names it: the deployment's own, of that kind."""
    secret = ":secret:" in template
    return _PLACE.sub(lambda m: _HEAD.get(m[1]) or ("${Prefix}/*" if secret else "*" if m[1] == "Key" else _OWN),
                      template)  # fmt: skip


def _condition(p: Permission) -> dict[str, Any]:
    equal = dict(p.condition)
    if p.tagged:
        equal[f"aws:{p.tagged.capitalize()}Tag/{OWNER}"] = "${Prefix}"
    return {"StringEquals": equal} if equal else {}


def _statement(actions: set[str], resources: set[str], condition: dict[str, Any]) -> Document:
    made: Document = {"Effect": "Allow", "Action": sorted(actions), "Resource": sorted(resources)}
    return {**made, "Condition": condition} if condition else made


def _document(statements: list[Document]) -> Document:
    return {"Version": VERSION, "Statement": statements}


def main() -> None:
    """Write the documents."""
    from bqx.base.atomic import write_text

    for name, document in documents().items():
        write_text(FOLDER / f"{name}.json", text_of(document))


if __name__ == "__main__":
    main()

"""Policy documents judged: do they allow a call, and do they allow no more than they may?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from bqx.base.errors import PolicyError
from bqx.ops.cloud.permissions import NO_RESOURCE, Need

MOST_CHARACTERS = 6144
"""Of a managed policy, blanks not counted."""
WITHOUT_RESOURCE = NO_RESOURCE | {"ecr:GetAuthorizationToken", "cloudwatch:PutMetricData"}
ANY_OF_ACCOUNT = ("application-autoscaling", "logs", "ecr")
"""Services whose resources cannot bear our prefix: bounded by account, and by condition, log group or repository."""


def allows(documents: Iterable[Mapping[str, Any]], need: Need) -> bool:
    """Whether some statement allows the action on the resource under what is known of the request. All are Allow."""
    return any(_statement_allows(s, need) for d in documents for s in d["Statement"])


def refused(documents: Iterable[Mapping[str, Any]], needs: Iterable[Need]) -> list[Need]:
    """Those that are not allowed."""
    documents = list(documents)
    return [n for n in needs if not allows(documents, n)]


def lint(name: str, document: Mapping[str, Any]) -> list[str]:
    """What is wrong with a document, in words; empty when clean."""
    bad = []
    size = len(json.dumps(document, separators=(",", ":")))
    if size > MOST_CHARACTERS:
        bad.append(f"{size:,} characters, {MOST_CHARACTERS:,} are allowed")
    for k, s in enumerate(document["Statement"]):
        at = f"statement {k}"
        if s.get("Effect") != "Allow" or set(s) - {"Effect", "Action", "Resource", "Condition", "Principal"}:
            bad.append(f"{at}: only Allow with Action, Resource and Condition is understood")
        if "Principal" in s:
            if s["Principal"] != {"Service": "sagemaker.amazonaws.com"} or not s.get("Condition"):
                bad.append(f"{at}: a principal other than the service, or without a condition on the account")
            continue
        actions, resources = s["Action"], s["Resource"]
        bad += [f"{at}: action {a} has a wildcard" for a in actions if "*" in a or "?" in a]
        bad += [f"{at}: {a} is no action" for a in actions if not re.fullmatch(r"[a-z0-9-]+:[A-Za-z*?]+", a)]
        for resource in resources:
            bad += [f"{at}: {why}" for why in _loose(resource, actions)]
        if any(a == "iam:PassRole" for a in actions) and "iam:PassedToService" not in json.dumps(s.get("Condition")):
            bad.append(f"{at}: iam:PassRole without iam:PassedToService")
        if "cloudwatch:PutMetricData" in actions and "cloudwatch:namespace" not in json.dumps(s.get("Condition")):
            bad.append(f"{at}: cloudwatch:PutMetricData without a namespace")
    return [f"{name}: {b}" for b in bad]


def check(documents: Mapping[str, Mapping[str, Any]]) -> None:
    """PolicyError naming what is wrong."""
    if bad := [b for name, d in documents.items() for b in lint(name, d)]:
        raise PolicyError("; ".join(bad[:5]) + (f" and {len(bad) - 5} more" if len(bad) > 5 else ""))


def _loose(resource: str, actions: list[str]) -> list[str]:
    if resource == "*":
        return [f"{a} on every resource" for a in actions if a not in WITHOUT_RESOURCE]
    parts = resource.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or "*" in "".join(parts[1:5]):
        return [f"{resource} is no ARN, or a wildcard stands where partition, service, region or account should"]
    if parts[2] == "s3":
        return [] if parts[5].startswith("${Prefix}-") else [f"{resource} does not begin with the prefix"]
    if parts[4] != "${Account}":
        return [f"{resource} is not bound to the account"]
    if parts[2] in ANY_OF_ACCOUNT:
        return [] if parts[5] != "*" else [f"{resource} is everything of {parts[2]}"]
    return [] if re.search(r"(^|[/:])\$\{Prefix\}[-/]", parts[5]) else [f"{resource} does not name the prefix"]


def _statement_allows(s: Mapping[str, Any], need: Need) -> bool:
    if need.action not in s["Action"] or not any(_matches(r, need.resource) for r in s.get("Resource", ())):
        return False
    for operator, wanted in s.get("Condition", {}).items():
        if operator != "StringEquals":
            raise PolicyError(f"the condition {operator} is not understood")
        for key, value in wanted.items():
            if need.context.get(key) not in (value if isinstance(value, list) else [value]):
                return False
    return True


def _matches(pattern: str, resource: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), resource) is not None

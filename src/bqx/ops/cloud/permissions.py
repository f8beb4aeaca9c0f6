"""Every operation bqx may call in the cloud, and what must be allowed for it: one table, from which policies are made.

Resource templates name arguments of the call in braces. In a policy such a place becomes the deployment's names, in the
record of a call its argument. Source of actions and resource types: the provider's service authorization reference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bqx.ops.cloud.description import OWNER

Tagged = Literal["", "request", "resource"]
_PLACE = re.compile(r"\{([A-Za-z.]+)\}")
SERVICE_OF = {"iam:PassedToService": "sagemaker.amazonaws.com"}
SCALING = {"application-autoscaling:service-namespace": "sagemaker"}


@dataclass(frozen=True, slots=True)
class Permission:
    """actions : without any, everybody may call it. tagged : whether a policy can ask that the request, or what it
    touches, has our tag. group : the document it belongs to. passes : path of the role's ARN that is handed on.
    """

    service: str
    operation: str
    group: str
    resources: tuple[str, ...]
    actions: tuple[str, ...]
    tagged: Tagged = ""
    passes: str = ""
    condition: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Need:
    """An action on a resource with what is known of the request: what a policy must allow for one call."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


def _sagemaker(kind: str, name: str, group: str, verbs: str, *, passes: str = "") -> list[Permission]:
    """verbs : operations with the noun left out; Create is asked for the tag in the request, changes for the tag of
    what they change, reading for neither."""
    noun = "".join(part.capitalize() for part in kind.split("-"))
    arn = f"arn:{{partition}}:sagemaker:{{region}}:{{account}}:{kind}/{{{name}}}"
    out = []
    for verb in verbs.split():
        operation = f"{verb}{noun}"
        tagged: Tagged = "request" if verb == "Create" else "" if verb == "Describe" else "resource"
        out.append(Permission("sagemaker", operation, group, (arn,), (f"sagemaker:{operation}",), tagged,
                              passes if verb in ("Create", "Update") else ""))  # fmt: skip
    return out


def _listing(group: str, *operations: str) -> list[Permission]:
    """Listings know no resource: they are asked of the account."""
    return [Permission("sagemaker", o, group, ("*",), (f"sagemaker:{o}",)) for o in operations]


def _s3(operation: str, action: str, *more: str, key: bool = False) -> Permission:
    arn = "arn:{partition}:s3:::{Bucket}" + ("/{Key}" if key else "")
    return Permission("s3", operation, "data", (arn,), tuple(f"s3:{a}" for a in (action, *more)))


def _other(service: str, group: str, arn: str, head: str, *pairs: str, **more: Any) -> list[Permission]:
    """pairs : "Operation" or "Operation=Action"."""
    out = []
    for pair in pairs:
        operation, _, action = pair.partition("=")
        out.append(Permission(service, operation, group, (arn,), (f"{head}:{action or operation}",), **more))
    return out


_SM = "arn:{partition}:sagemaker:{region}:{account}"
_ENDPOINTS = (f"{_SM}:endpoint/{{EndpointName}}", f"{_SM}:endpoint-config/{{EndpointConfigName}}")
_PACKAGE = f"{_SM}:model-package/{{ModelPackageName}}"
_HELD = "arn:{partition}:secretsmanager:{region}:{account}:secret:{SecretId}"
_TOPIC = "arn:{partition}:sns:{region}:{account}:{TopicArn}"
_ALARM = "arn:{partition}:cloudwatch:{region}:{account}:alarm:{AlarmName}"
_TARGET = "arn:{partition}:application-autoscaling:{region}:{account}:scalable-target/*"
_BUDGET = "arn:{partition}:budgets::{account}:budget/{BudgetName}"

PERMISSIONS: tuple[Permission, ...] = (
    Permission("sts", "GetCallerIdentity", "serve", (), ()),
    Permission("iam", "GetRole", "data", ("arn:{partition}:iam::{account}:role/{RoleName}",), ("iam:GetRole",)),
    # serving
    *_sagemaker("model", "ModelName", "serve", "Create Describe Delete", passes="ExecutionRoleArn"),
    *_sagemaker("endpoint-config", "EndpointConfigName", "serve", "Create Describe Delete"),
    Permission("sagemaker", "CreateEndpoint", "serve", _ENDPOINTS, ("sagemaker:CreateEndpoint",), "request"),
    Permission("sagemaker", "UpdateEndpoint", "serve", _ENDPOINTS, ("sagemaker:UpdateEndpoint",), "resource"),
    *_sagemaker("endpoint", "EndpointName", "serve", "Describe Delete"),
    Permission("sagemaker", "UpdateEndpointWeightsAndCapacities", "serve", _ENDPOINTS[:1],
               ("sagemaker:UpdateEndpointWeightsAndCapacities",), "resource"),
    Permission("sagemaker-runtime", "InvokeEndpoint", "serve", _ENDPOINTS[:1], ("sagemaker:InvokeEndpoint",),
               "resource"),
    Permission("sagemaker", "ListTags", "serve", (f"{_SM}:*/{{ResourceArn}}",), ("sagemaker:ListTags",)),
    *_listing("serve", "ListModels", "ListEndpointConfigs", "ListEndpoints", "ListMonitoringSchedules",
              "ListModelPackageGroups", "ListModelPackages", "ListFeatureGroups"),
    *_sagemaker("monitoring-schedule", "MonitoringScheduleName", "serve", "Create Describe Update Delete",
                passes="MonitoringScheduleConfig.MonitoringJobDefinition.RoleArn"),
    # the registry and the feature store
    *_sagemaker("model-package-group", "ModelPackageGroupName", "registry", "Create Describe Delete"),
    Permission("sagemaker", "CreateModelPackage", "registry",
               (f"{_SM}:model-package-group/{{ModelPackageGroupName}}",
                f"{_SM}:model-package/{{ModelPackageGroupName}}"),
               ("sagemaker:CreateModelPackage",)),
    Permission("sagemaker", "DescribeModelPackage", "registry", (_PACKAGE,), ("sagemaker:DescribeModelPackage",)),
    Permission("sagemaker", "UpdateModelPackage", "registry", (f"{_SM}:model-package/{{ModelPackageArn}}",),
               ("sagemaker:UpdateModelPackage",)),
    Permission("sagemaker", "DeleteModelPackage", "registry", (_PACKAGE,), ("sagemaker:DeleteModelPackage",)),
    *_sagemaker("feature-group", "FeatureGroupName", "registry", "Create Describe Delete", passes="RoleArn"),
    Permission("sagemaker-featurestore-runtime", "PutRecord", "registry",
               (f"{_SM}:feature-group/{{FeatureGroupName}}",), ("sagemaker:PutRecord",), "resource"),
    # jobs
    *_sagemaker("processing-job", "ProcessingJobName", "jobs", "Create Describe Stop Delete", passes="RoleArn"),
    *_sagemaker("training-job", "TrainingJobName", "jobs", "Create Describe Stop Delete", passes="RoleArn"),
    *_sagemaker("hyper-parameter-tuning-job", "HyperParameterTuningJobName", "jobs", "Create Describe Stop Delete",
                passes="TrainingJobDefinition.RoleArn"),
    *_listing("jobs", "ListProcessingJobs", "ListTrainingJobs", "ListHyperParameterTuningJobs"),
    # data
    _s3("CreateBucket", "CreateBucket"),
    _s3("HeadBucket", "ListBucket"),
    _s3("PutBucketVersioning", "PutBucketVersioning"),
    _s3("GetBucketVersioning", "GetBucketVersioning"),
    _s3("PutBucketEncryption", "PutEncryptionConfiguration"),
    _s3("GetBucketEncryption", "GetEncryptionConfiguration"),
    _s3("PutPublicAccessBlock", "PutBucketPublicAccessBlock"),
    _s3("GetPublicAccessBlock", "GetBucketPublicAccessBlock"),
    _s3("PutBucketPolicy", "PutBucketPolicy"),
    _s3("GetBucketPolicy", "GetBucketPolicy"),
    _s3("PutBucketLifecycleConfiguration", "PutLifecycleConfiguration"),
    _s3("GetBucketLifecycleConfiguration", "GetLifecycleConfiguration"),
    _s3("PutBucketTagging", "PutBucketTagging"),
    _s3("GetBucketTagging", "GetBucketTagging"),
    _s3("ListObjectsV2", "ListBucket"),
    _s3("ListObjectVersions", "ListBucketVersions"),
    _s3("ListMultipartUploads", "ListBucketMultipartUploads"),
    _s3("AbortMultipartUpload", "AbortMultipartUpload", key=True),
    _s3("DeleteBucket", "DeleteBucket"),
    _s3("HeadObject", "GetObject", key=True),
    _s3("GetObject", "GetObject", key=True),
    _s3("PutObject", "PutObject", key=True),
    _s3("DeleteObjects", "DeleteObject", "DeleteObjectVersion", key=True),
    Permission("s3", "ListBuckets", "data", ("*",), ("s3:ListAllMyBuckets",)),
    *_other("secretsmanager", "data", _HELD.replace("SecretId", "Name"), "secretsmanager", "CreateSecret",
            tagged="request"),
    *_other("secretsmanager", "data", _HELD, "secretsmanager", "DescribeSecret"),
    *_other("secretsmanager", "data", _HELD, "secretsmanager", "GetSecretValue", "PutSecretValue", "DeleteSecret",
            tagged="resource"),
    Permission("secretsmanager", "ListSecrets", "data", ("*",), ("secretsmanager:ListSecrets",)),
    # watching
    *_other("sns", "watch", "arn:{partition}:sns:{region}:{account}:{Name}", "sns", "CreateTopic"),
    *_other("sns", "watch", _TOPIC, "sns", "Subscribe", "GetTopicAttributes", "ListSubscriptionsByTopic",
            "DeleteTopic"),
    *_other("sns", "watch", "arn:{partition}:sns:{region}:{account}:{ResourceArn}", "sns", "ListTagsForResource"),
    Permission("sns", "ListTopics", "watch", ("*",), ("sns:ListTopics",)),
    *_other("cloudwatch", "watch", _ALARM, "cloudwatch", "PutMetricAlarm"),
    *_other("cloudwatch", "watch", _ALARM.replace("AlarmName", "AlarmNames"), "cloudwatch", "DeleteAlarms"),
    *_other("cloudwatch", "watch", _ALARM.replace("AlarmName", "AlarmNamePrefix"), "cloudwatch", "DescribeAlarms"),
    *_other("cloudwatch", "watch", _ALARM.replace("AlarmName", "ResourceARN"), "cloudwatch", "ListTagsForResource"),
    Permission("cloudwatch", "GetMetricData", "watch", ("*",), ("cloudwatch:GetMetricData",)),
    *_other("application-autoscaling", "watch", _TARGET, "application-autoscaling", "RegisterScalableTarget",
            "DeregisterScalableTarget", "PutScalingPolicy", "DeleteScalingPolicy", condition=SCALING),
    Permission("application-autoscaling", "DescribeScalableTargets", "watch", ("*",),
               ("application-autoscaling:DescribeScalableTargets",)),
    Permission("application-autoscaling", "DescribeScalingPolicies", "watch", ("*",),
               ("application-autoscaling:DescribeScalingPolicies",)),
    *_other("budgets", "watch", _BUDGET.replace("BudgetName", "Budget.BudgetName"), "budgets",
            "CreateBudget=ModifyBudget"),
    *_other("budgets", "watch", _BUDGET, "budgets", "DeleteBudget=ModifyBudget", "DescribeBudget=ViewBudget",
            "DescribeNotificationsForBudget=ViewBudget", "CreateNotification=ModifyBudget"),
)  # fmt: skip
BY_OPERATION = {(p.service, p.operation): p for p in PERMISSIONS}
NO_RESOURCE = frozenset(a for p in PERMISSIONS if p.resources == ("*",) for a in p.actions)
"""Actions for which the provider knows no resource, so that a policy must say `*` there: listings, one metric read."""


def needs(permission: Permission, args: Mapping[str, Any], where: Mapping[str, str]) -> tuple[Need, ...]:
    """What a policy must allow for a call with `args`. where : partition, region and account.

    A resource whose name is an argument that is an ARN is that ARN; one whose argument is absent is `*` there.
    """
    context = dict(permission.condition)
    if permission.tagged == "request":
        context |= {f"aws:RequestTag/{t['Key']}": t["Value"] for t in args.get("Tags", ()) if t["Key"] == OWNER}
    found = [Need(a, filled(r, args, where), context) for r in permission.resources for a in permission.actions]
    if adds_tags(permission):
        found.append(Need("sagemaker:AddTags", filled(permission.resources[0], args, where), context))
    if role := at_path(args, permission.passes):
        found.append(Need("iam:PassRole", str(role), SERVICE_OF))
    return tuple(found)


def adds_tags(permission: Permission) -> bool:
    """SageMaker asks for AddTags too when something is made with tags."""
    return permission.service == "sagemaker" and permission.tagged == "request"


def filled(template: str, args: Mapping[str, Any], where: Mapping[str, str]) -> str:
    """The resource of a call."""
    for name in _PLACE.findall(template):
        value = where.get(name, at_path(args, name))
        if isinstance(value, list):
            value = value[0] if len(value) == 1 else None
        if isinstance(value, str) and value.startswith("arn:"):
            return value
        template = template.replace(f"{{{name}}}", "*" if value is None else str(value))
    return template


def at_path(args: Mapping[str, Any], path: str) -> Any:
    """`args["a"]["b"]` for "a.b"; None where there is no such thing."""
    found: Any = args
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found

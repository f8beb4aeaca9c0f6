"""Things of SageMaker that are made with their values and described with them: one table row a kind."""

from __future__ import annotations

from dataclasses import dataclass

from bqx.ops.cloud.aws import Aws
from bqx.ops.cloud.kinds.kind import Have, Status, Wanted
from bqx.ops.cloud.names import tag_list


@dataclass(frozen=True)
class SageMakerKind:
    """noun : as in Create<noun>. items : key of the listing's items. status : key of the state it is in.

    removable_when_busy : whether it may be removed while it is being made.
    """

    name: str
    noun: str
    items: str
    status: str = ""
    busy: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    updatable: bool = False
    disposable: bool = True
    by: str = "NameContains"

    @property
    def key(self) -> str:
        return f"{self.noun}Name"

    def have(self, aws: Aws, name: str) -> Have | None:
        answer = aws.find("sagemaker", f"Describe{self.noun}", **{self.key: name})
        if answer is None:
            return None
        tags = {t["Key"]: t["Value"] for t in aws.pages("sagemaker", "ListTags", "Tags",
                                                        ResourceArn=answer[f"{self.noun}Arn"])}  # fmt: skip
        said = str(answer.get(self.status, "")) if self.status else ""
        state: Status = "busy" if said in self.busy else "failed" if said in self.failed else "ready"
        reason = str(answer.get("FailureReason", "")) or said
        return Have(answer, tags, state, reason)

    def create(self, aws: Aws, want: Wanted) -> None:
        aws.call(
            "sagemaker", f"Create{self.noun}", **{self.key: want.name}, **want.values, Tags=tag_list(want.tags)
        )  # fmt: skip

    def update(self, aws: Aws, want: Wanted) -> bool:
        if not self.updatable:
            return False
        aws.call("sagemaker", f"Update{self.noun}", **{self.key: want.name}, **want.values)
        return True

    def delete(self, aws: Aws, name: str) -> None:
        aws.gone("sagemaker", f"Delete{self.noun}", **{self.key: name})

    def listed(self, aws: Aws, prefix: str) -> list[str]:
        found = aws.pages("sagemaker", f"List{self.noun}s", self.items, **{self.by: f"{prefix}-"})
        return sorted(i[self.key] for i in found if i[self.key].startswith(f"{prefix}-"))


class _Endpoint(SageMakerKind):
    """Changed under load: variants that stay keep their instances and their share of the traffic."""

    def update(self, aws: Aws, want: Wanted) -> bool:
        aws.call("sagemaker", "UpdateEndpoint", EndpointName=want.name, **want.values, RetainAllVariantProperties=True,
                 ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DataCaptureConfig"}])  # fmt: skip
        return True


MODEL = SageMakerKind("model", "Model", "Models")
ENDPOINT_CONFIG = SageMakerKind("endpoint-config", "EndpointConfig", "EndpointConfigs")
ENDPOINT = _Endpoint(
    "endpoint", "Endpoint", "Endpoints", status="EndpointStatus", updatable=True, disposable=False,
    busy=frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"}),
    failed=frozenset({"Failed", "OutOfService", "UpdateRollbackFailed"}),
)  # fmt: skip
SCHEDULE = SageMakerKind(
    "monitoring-schedule", "MonitoringSchedule", "MonitoringScheduleSummaries", status="MonitoringScheduleStatus",
    busy=frozenset({"Pending"}), failed=frozenset({"Failed"}), updatable=True,
)  # fmt: skip
FEATURE_GROUP = SageMakerKind(
    "feature-group", "FeatureGroup", "FeatureGroupSummaries", status="FeatureGroupStatus",
    busy=frozenset({"Creating", "Deleting"}), failed=frozenset({"CreateFailed", "DeleteFailed"}),
)  # fmt: skip


class _PackageGroup(SageMakerKind):
    """Packages in it are removed with it."""

    def delete(self, aws: Aws, name: str) -> None:
        for package in list(_packages(aws, name)):
            aws.gone("sagemaker", "DeleteModelPackage", ModelPackageName=package)
        super().delete(aws, name)


def _packages(aws: Aws, group: str) -> list[str]:
    if aws.find("sagemaker", "DescribeModelPackageGroup", ModelPackageGroupName=group) is None:
        return []
    found = aws.pages("sagemaker", "ListModelPackages", "ModelPackageSummaryList", ModelPackageGroupName=group)
    return [p["ModelPackageArn"] for p in found]


PACKAGE_GROUP = _PackageGroup(
    "package-group", "ModelPackageGroup", "ModelPackageGroupSummaryList", status="ModelPackageGroupStatus",
    busy=frozenset({"Pending", "InProgress", "Deleting"}), failed=frozenset({"Failed", "DeleteFailed"}),
    disposable=False,
)  # fmt: skip

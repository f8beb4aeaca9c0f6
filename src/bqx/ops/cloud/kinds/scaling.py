"""Auto-scaling of one variant of the endpoint: between how many instances, aiming at how many requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bqx.ops.cloud.aws import Aws
from bqx.ops.cloud.kinds.kind import Have, Wanted

SERVICE = {"ServiceNamespace": "sagemaker", "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}
POLICY = "requests-per-instance"


def values(least: int, most: int, per_minute: int, out_s: int, in_s: int) -> dict[str, Any]:
    return {
        "MinCapacity": least,
        "MaxCapacity": most,
        "policy": {
            "TargetValue": float(per_minute),
            "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
            "ScaleOutCooldown": out_s,
            "ScaleInCooldown": in_s,
        },
    }


@dataclass(frozen=True)
class Scaling:
    """Its name is ENDPOINT/VARIANT. It cannot bear our tag; it goes with the endpoint, which does."""

    name: str = "scaling"
    disposable: bool = True

    def have(self, aws: Aws, name: str) -> Have | None:
        found = list(aws.pages("application-autoscaling", "DescribeScalableTargets", "ScalableTargets",
                               ResourceIds=[_id(name)], **SERVICE))  # fmt: skip
        if not found:
            return None
        policies = aws.pages("application-autoscaling", "DescribeScalingPolicies", "ScalingPolicies",
                             ResourceId=_id(name), **SERVICE)  # fmt: skip
        policy: dict[str, Any] = next((p for p in policies if p["PolicyName"] == POLICY), {})
        said = policy.get("TargetTrackingScalingPolicyConfiguration")
        return Have({**found[0], "policy": said}, None)

    def create(self, aws: Aws, want: Wanted) -> None:
        v = want.values
        where = {"ResourceId": _id(want.name), **SERVICE}
        aws.call("application-autoscaling", "RegisterScalableTarget", MinCapacity=v["MinCapacity"],
                 MaxCapacity=v["MaxCapacity"], **where)  # fmt: skip
        aws.call("application-autoscaling", "PutScalingPolicy", PolicyName=POLICY, PolicyType="TargetTrackingScaling",
                 TargetTrackingScalingPolicyConfiguration=v["policy"], **where)  # fmt: skip

    def update(self, aws: Aws, want: Wanted) -> bool:
        self.create(aws, want)
        return True

    def delete(self, aws: Aws, name: str) -> None:
        where = {"ResourceId": _id(name), **SERVICE}
        aws.gone("application-autoscaling", "DeleteScalingPolicy", PolicyName=POLICY, **where)
        aws.gone("application-autoscaling", "DeregisterScalableTarget", **where)

    def listed(self, aws: Aws, prefix: str) -> list[str]:
        found = aws.pages("application-autoscaling", "DescribeScalableTargets", "ScalableTargets",
                          ServiceNamespace="sagemaker")  # fmt: skip
        ids = (t["ResourceId"].split("/") for t in found if t["ResourceId"].startswith(f"endpoint/{prefix}-"))
        return sorted(f"{parts[1]}/{parts[3]}" for parts in ids)


def _id(name: str) -> str:
    endpoint, _, variant = name.partition("/")
    return f"endpoint/{endpoint}/variant/{variant}"


SCALING = Scaling()

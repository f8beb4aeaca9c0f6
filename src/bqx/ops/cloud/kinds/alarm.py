"""Alarms of the endpoint, as CloudWatch keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bqx.ops.cloud.aws import Aws
from bqx.ops.cloud.kinds.kind import Have, Wanted
from bqx.ops.cloud.names import tag_list

NAMESPACE = "AWS/SageMaker"


def _metric(name: str, metric: str, statistic: str, period: int, endpoint: str, variant: str) -> dict[str, Any]:
    return {
        "Id": name, "ReturnData": False,
        "MetricStat": {
            "Metric": {"Namespace": NAMESPACE, "MetricName": metric, "Dimensions": [
                {"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}]},
            "Period": period, "Stat": statistic,
        },
    }  # fmt: skip


def errors(endpoint: str, variant: str, rate: float, topic: str) -> dict[str, Any]:
    """Share of answers that are server errors, over five minutes."""
    inputs = [_metric("failed", "Invocation5XXErrors", "Sum", 300, endpoint, variant),
              _metric("asked", "Invocations", "Sum", 300, endpoint, variant)]  # fmt: skip
    share = {"Id": "share", "Expression": "IF(asked > 0, failed / asked, 0)", "Label": "share", "ReturnData": True}
    return _alarm([share, *inputs], "GreaterThanThreshold", rate, 1, topic)


def latency(endpoint: str, variant: str, p99_ms: float, topic: str) -> dict[str, Any]:
    """P99 of the model's time, in two periods of five minutes. The metric is in microseconds."""
    one = {**_metric("p99", "ModelLatency", "p99", 300, endpoint, variant), "ReturnData": True}
    return _alarm([one], "GreaterThanThreshold", p99_ms * 1000.0, 2, topic)


def cold(endpoint: str, variant: str, topic: str) -> dict[str, Any]:
    """Models that had to be loaded for a request: all must stay in memory."""
    one = {**_metric("hits", "ModelCacheHit", "Average", 900, endpoint, variant), "ReturnData": True}
    return _alarm([one], "LessThanThreshold", 0.99, 2, topic)


def _alarm(metrics: list[dict[str, Any]], operator: str, threshold: float, periods: int, topic: str) -> dict[str, Any]:
    return {
        "Metrics": metrics, "ComparisonOperator": operator, "Threshold": threshold, "EvaluationPeriods": periods,
        "TreatMissingData": "notBreaching", "AlarmActions": [topic],
    }  # fmt: skip


@dataclass(frozen=True)
class Alarm:
    name: str = "alarm"
    disposable: bool = True

    def have(self, aws: Aws, name: str) -> Have | None:
        found = aws.pages("cloudwatch", "DescribeAlarms", "MetricAlarms", AlarmNamePrefix=name)
        said = next((a for a in found if a["AlarmName"] == name), None)
        if said is None:
            return None
        tags = aws.call("cloudwatch", "ListTagsForResource", ResourceARN=said["AlarmArn"])["Tags"]
        return Have(said, {t["Key"]: t["Value"] for t in tags})

    def create(self, aws: Aws, want: Wanted) -> None:
        aws.call("cloudwatch", "PutMetricAlarm", AlarmName=want.name, **want.values, Tags=tag_list(want.tags))

    def update(self, aws: Aws, want: Wanted) -> bool:
        aws.call("cloudwatch", "PutMetricAlarm", AlarmName=want.name, **want.values)
        return True

    def delete(self, aws: Aws, name: str) -> None:
        aws.gone("cloudwatch", "DeleteAlarms", AlarmNames=[name])

    def listed(self, aws: Aws, prefix: str) -> list[str]:
        found = aws.pages("cloudwatch", "DescribeAlarms", "MetricAlarms", AlarmNamePrefix=f"{prefix}-serve-")
        return sorted(a["AlarmName"] for a in found)


ALARM = Alarm()

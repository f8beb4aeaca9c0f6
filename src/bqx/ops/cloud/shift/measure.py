"""What the endpoint's variants did in a span of time, as CloudWatch has it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from bqx.ops.cloud.aws import Aws
from bqx.ops.cloud.kinds.alarm import NAMESPACE

DRIFT = "PredictionDrift"
"""Metric of the namespace bqx/PREFIX: deviations between two variants' predictions, see `drift.py`."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One variant. p99_ms : of the model and the hop before it. p99_ms, drift : None when not measured."""

    requests: int
    errors: int
    p99_ms: float | None
    drift: float | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def seen(aws: Aws, prefix: str, endpoint: str, variant: str, start: float, end: float) -> Seen:
    """start, end : seconds since 1970. The service keeps minutes: those that lie wholly between are read."""
    first, last = 60 * math.ceil(start / 60), 60 * math.floor(end / 60)
    if last <= first:
        return Seen(0, 0, None, None)
    period = last - first

    def query(name: str, space: str, metric: str, stat: str) -> dict[str, Any]:
        return {"Id": name, "MetricStat": {
            "Metric": {"Namespace": space, "MetricName": metric, "Dimensions": [
                {"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}]},
            "Period": period, "Stat": stat}}  # fmt: skip

    answer = aws.call(
        "cloudwatch", "GetMetricData",
        MetricDataQueries=[
            query("requests", NAMESPACE, "Invocations", "Sum"),
            query("errors", NAMESPACE, "Invocation5XXErrors", "Sum"),
            query("model", NAMESPACE, "ModelLatency", "p99"),
            query("overhead", NAMESPACE, "OverheadLatency", "p99"),
            query("drift", f"bqx/{prefix}", DRIFT, "Maximum"),
        ],
        StartTime=datetime.fromtimestamp(first, UTC), EndTime=datetime.fromtimestamp(last, UTC),
    )  # fmt: skip
    values: dict[str, list[float]] = {r["Id"]: r["Values"] for r in answer["MetricDataResults"]}

    def total(name: str) -> int:
        return round(sum(values.get(name, ())))

    def most(name: str) -> float | None:
        return max(values[name]) if values.get(name) else None

    model, overhead = most("model"), most("overhead")
    p99 = None if model is None else (model + (overhead or 0.0)) / 1000.0  # the metrics are in microseconds
    return Seen(total("requests"), total("errors"), p99, most("drift"))

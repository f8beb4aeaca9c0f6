"""An endpoint under requests: which variant answers, from which model, how long, and what CloudWatch sees of it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from fake_model import operation, shaped
from fake_sagemaker import Refused, Things


@dataclass
class Behaviour:
    """Of a variant: every n-th answer an error (0 none), milliseconds, deviations of its predictions."""

    error_every: int = 0
    ms: float = 20.0
    drift: float | None = 0.2


@dataclass
class Traffic:
    """objects : asks whether an object is in S3. points : (variant, time, microseconds, error)."""

    things: Things
    objects: Any
    behaviour: dict[str, Behaviour] = field(default_factory=dict)
    points: list[tuple[str, float, float, bool]] = field(default_factory=list)
    served: Counter[str] = field(default_factory=Counter)
    loaded: dict[str, set[str]] = field(default_factory=dict)
    cold: int = 0
    _debt: dict[str, float] = field(default_factory=dict)

    def invoke(self, p: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Headers and body."""
        endpoint = self.things._get("Endpoint", p["EndpointName"])
        if endpoint["EndpointStatus"] in ("Creating", "Failed", "Deleting"):
            raise Refused("ValidationError", "the endpoint is not in service")
        variant = p.get("TargetVariant") or self._pick(endpoint["ProductionVariants"])
        config = self.things._config(endpoint["EndpointConfigName"])
        chosen = next((v for v in config["ProductionVariants"] if v["VariantName"] == variant), None)
        if chosen is None:
            raise Refused("ValidationError", f"no variant {variant}")
        model = self.things._get("Model", chosen["ModelName"])
        home, target = model["PrimaryContainer"]["ModelDataUrl"], p["TargetModel"]
        held = self.loaded.setdefault(variant, set())
        if target not in held:
            if not self.objects(home + target):
                raise Refused("ValidationError", f"{home}{target} does not exist")
            self.cold += 1
            held.add(target)
        b = self.behaviour.get(variant, Behaviour())
        self.served[variant] += 1
        failed = bool(b.error_every) and self.served[variant] % b.error_every == 0
        self.points.append((variant, self.things.now(), 1000 * b.ms, failed))
        if failed:
            raise Refused("ModelError", "the model failed", 424)
        rows = json.loads(p["Body"])["instances"]
        said = {"pair": target.partition(".")[0], "predictions": [{"f4": [0.0]} for _ in rows]}
        return {"x-Amzn-Invoked-Production-Variant": variant}, json.dumps(said).encode()

    def _pick(self, variants: list[dict[str, Any]]) -> str:
        """By weight, evenly: the one that is furthest behind its share."""
        total = sum(v["CurrentWeight"] for v in variants)
        for v in variants:
            name = v["VariantName"]
            self._debt[name] = self._debt.get(name, 0.0) + v["CurrentWeight"] / total
        chosen = max(variants, key=lambda v: (self._debt[v["VariantName"]], v["CurrentWeight"]))["VariantName"]
        self._debt[chosen] -= 1.0
        return str(chosen)

    def metric_data(self, body: bytes) -> bytes:
        """GetMetricData in the JSON form that botocore speaks with CloudWatch."""
        op, asked = operation("cloudwatch", "GetMetricData"), json.loads(body)
        results = []
        for q in asked["MetricDataQueries"]:
            stat = q["MetricStat"]
            variant = next(d["Value"] for d in stat["Metric"]["Dimensions"] if d["Name"] == "VariantName")
            mine = [x for x in self.points if x[0] == variant and _seconds(asked["StartTime"]) <= x[1]
                    < _seconds(asked["EndTime"])]  # fmt: skip
            value = self._statistic(stat["Metric"]["MetricName"], variant, mine)
            results.append({"Id": q["Id"], "Label": q["Id"], "Values": [] if value is None else [value],
                            "StatusCode": "Complete"})  # fmt: skip
        return json.dumps(shaped(op, {"MetricDataResults": results})).encode()

    def _statistic(self, metric: str, variant: str, mine: list[tuple[str, float, float, bool]]) -> float | None:
        if metric == "PredictionDrift":
            return self.behaviour.get(variant, Behaviour()).drift
        if not mine:
            return None
        if metric == "Invocations":
            return float(len(mine))
        if metric == "Invocation5XXErrors":
            return float(sum(x[3] for x in mine))
        times = sorted(x[2] for x in mine)
        return times[min(len(times) - 1, int(0.99 * len(times)))] if metric == "ModelLatency" else None


def _seconds(value: Any) -> float:
    return float(value.timestamp()) if hasattr(value, "timestamp") else float(value)

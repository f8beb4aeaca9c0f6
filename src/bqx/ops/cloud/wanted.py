"""Everything a deployment must have, from its description and the release that serves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

from bqx.base.secret import Secret
from bqx.ops.cloud import feature_groups, names
from bqx.ops.cloud.aws import Aws
from bqx.ops.cloud.description import Deployment
from bqx.ops.cloud.kinds import alarm, bucket, budget, scaling, topic
from bqx.ops.cloud.kinds.kind import Wanted
from bqx.ops.cloud.kinds.secret import fingerprint
from bqx.ops.cloud.release import Release

CAPTURED_DAYS = 90
Fetch = Callable[[str], Secret]
"""A secret of the project's provider by name; SecretError when it cannot be had."""


def wanted(
    aws: Aws,
    d: Deployment,
    pairs: Sequence[str],
    secret: Fetch,
    serving: Release | None = None,
    kept: Release | None = None,
) -> list[Wanted]:
    """In the order in which they are made. serving : the release that gets all traffic, None before the first.

    kept : the release before it, whose model stays for a roll-back. Names of what cannot be changed in place end in a
    hash of their values, so that a change is a new thing beside the old one.
    """
    out = [*_base(aws, d, secret), *(_group(d, pair) for pair in pairs), *_features(aws, d)]
    if serving is None:
        return out
    models = [model_of(aws, d, r) for r in (serving, kept) if r is not None]
    config = config_of(aws, d, [(serving, 100)])
    out += [*models, config, _thing(d, "endpoint", names.endpoint(d.prefix), {"EndpointConfigName": config.name})]
    out += watched(aws, d, serving)
    return [*out, *_schedule(aws, d)]


def model_of(aws: Aws, d: Deployment, release: Release) -> Wanted:
    """All models of a release behind one container."""
    home = f"s3://{names.bucket(aws, d.prefix, 'models')}/releases/{release.id}/"
    values = {
        "PrimaryContainer": {
            "Image": names.image(aws, d.images.inference),
            "Mode": "MultiModel",
            "ModelDataUrl": home,
            "MultiModelConfig": {"ModelCacheSetting": "Enabled"},
            "Environment": {"BQX_RELEASE": release.id, "BQX_TRUSTED_KEYS": ",".join(release.keys)},
        },
        "ExecutionRoleArn": names.role_arn(aws, d, "inference"),
    }
    return _fixed(d, "model", names.release(d.prefix, release.id), values)


def config_of(aws: Aws, d: Deployment, shares: Sequence[tuple[Release, int]]) -> Wanted:
    """A variant a release, with its share of the traffic at the beginning."""
    e = d.endpoint
    values: dict[str, Any] = {
        "ProductionVariants": [
            {
                "VariantName": names.variant(release.id),
                "ModelName": model_of(aws, d, release).name,
                "InitialInstanceCount": e.instances,
                "InstanceType": e.instance,
                "InitialVariantWeight": float(share),
            }
            for release, share in shares
        ]
    }
    if e.capture_percent:
        values["DataCaptureConfig"] = {
            "EnableCapture": True,
            "InitialSamplingPercentage": e.capture_percent,
            "DestinationS3Uri": f"s3://{names.bucket(aws, d.prefix, 'data')}/capture/",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
        }
    return _fixed(d, "endpoint-config", names.release(d.prefix, shares[-1][0].id), values)


def watched(aws: Aws, d: Deployment, release: Release) -> list[Wanted]:
    """Scaling and alarms of one variant."""
    e, a, topic_arn = d.endpoint, d.alarms, names.topic_arn(aws, d.prefix)
    endpoint, variant = names.endpoint(d.prefix), names.variant(release.id)
    alarms = {
        "errors": alarm.errors(endpoint, variant, a.error_rate, topic_arn),
        "latency": alarm.latency(endpoint, variant, a.p99_ms, topic_arn),
        "cold": alarm.cold(endpoint, variant, topic_arn),
    }
    scale = scaling.values(e.instances, e.most, e.per_minute, e.scale_out_s, e.scale_in_s)
    return [
        _thing(d, "scaling", f"{endpoint}/{variant}", scale),
        *(_thing(d, "alarm", f"{d.prefix}-serve-{release.id}-{k}", v) for k, v in alarms.items()),
    ]


def _base(aws: Aws, d: Deployment, secret: Fetch) -> list[Wanted]:
    topic_arn = names.topic_arn(aws, d.prefix)
    mail = None if d.budget.mail is None else secret(d.budget.mail)
    data, models = (names.bucket(aws, d.prefix, use) for use in ("data", "models"))
    s3 = f"arn:{aws.partition}:s3:::"
    out = [
        _thing(d, "topic", f"{d.prefix}-alerts", topic.values(topic_arn, aws.account, mail), mail=mail),
        _thing(d, "budget", f"{d.prefix}-monthly", budget.values(d.prefix, d.budget.monthly, d.budget.warn),
               topic=topic_arn),
        _thing(d, "bucket", data, bucket.values(f"{s3}{data}", {"capture/": CAPTURED_DAYS})),
        _thing(d, "bucket", models, bucket.values(f"{s3}{models}", {})),
    ]  # fmt: skip
    for name in d.secrets.names:
        value = secret(name)
        held = {"value": fingerprint(value.reveal())}
        out.append(_thing(d, "secret", f"{d.prefix}/{name}", held, value=value))
    return out


def _group(d: Deployment, pair: str) -> Wanted:
    said = {"ModelPackageGroupDescription": f"models of {pair}; approved ones have passed the gates of bqx"}
    return _thing(d, "package-group", f"{d.prefix}-{pair}", said)


def _features(aws: Aws, d: Deployment) -> list[Wanted]:
    if not d.features.datasets:
        return []
    role, home = names.role_arn(aws, d, "processing"), names.bucket(aws, d.prefix, "data")
    found = feature_groups.definitions(feature_groups.chosen_datasets(d.features.datasets))
    values = [feature_groups.group_values(c, role, home, online=d.features.online) for c in feature_groups.split(found)]
    return [_fixed(d, "feature-group", f"{d.prefix}-features-{k}", v) for k, v in enumerate(values)]


def _schedule(aws: Aws, d: Deployment) -> list[Wanted]:
    m = d.monitor
    if not m.hours:
        return []
    every = "cron(0 * ? * * *)" if m.hours == 1 else f"cron(0 0/{m.hours} ? * * *)"
    home = f"s3://{names.bucket(aws, d.prefix, 'data')}/monitor/"
    job = {
        "MonitoringInputs": [{"EndpointInput": {"EndpointName": names.endpoint(d.prefix),
                                                "LocalPath": "/opt/ml/processing/input/endpoint"}}],
        "MonitoringOutputConfig": {"MonitoringOutputs": [
            {"S3Output": {"S3Uri": home, "LocalPath": "/opt/ml/processing/output", "S3UploadMode": "EndOfJob"}}]},
        "MonitoringResources": {"ClusterConfig": {"InstanceCount": 1, "InstanceType": m.instance,
                                                  "VolumeSizeInGB": 20}},
        "MonitoringAppSpecification": {"ImageUri": names.image(aws, d.images.processing)},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60 * m.minutes},
        "Environment": {"BQX_JOB": "monitor"},
        "RoleArn": names.role_arn(aws, d, "processing"),
    }  # fmt: skip
    config = {
        "ScheduleConfig": {"ScheduleExpression": every},
        "MonitoringJobDefinition": job,
        "MonitoringType": "DataQuality",
    }
    return [_thing(d, "monitoring-schedule", f"{d.prefix}-data-quality", {"MonitoringScheduleConfig": config})]


def _thing(d: Deployment, kind: str, name: str, values: dict[str, Any], **hidden: Any) -> Wanted:
    return Wanted(kind, name, values, d.tags, hidden)


def _fixed(d: Deployment, kind: str, stem: str, values: dict[str, Any]) -> Wanted:
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:6]
    return _thing(d, kind, f"{stem}-{digest}", values)

"""What each job is asked with: image, role, instance, time, inputs and outputs. Entry points: docs/containers.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bqx.ops.cloud import names
from bqx.ops.cloud.aws import Aws
from bqx.ops.cloud.description import Deployment

ENTRY = ["python", "-m", "bqx.ops.container"]
METRICS = ("skill", "skill_low", "skill_high", "mae", "hit_rate", "cells_done")
"""As training writes them to its log; `skill` is what tuning maximises."""
PROJECT = "project"
"""Channel and folder of the project that processing makes and training reads."""


def processing(aws: Aws, d: Deployment, dataset: str, more: Sequence[str] = ()) -> dict[str, Any]:
    """Bars of s3://DATA/bars/ in; project, dataset and candidates out to s3://DATA/datasets/DATASET/."""
    home = f"s3://{names.bucket(aws, d.prefix, 'data')}"
    folder = "/opt/ml/processing"
    return {
        "AppSpecification": {
            "ImageUri": names.image(aws, d.images.processing),
            "ContainerEntrypoint": [*ENTRY, "processing"],
            "ContainerArguments": ["--dataset", dataset, *more],
        },
        "RoleArn": names.role_arn(aws, d, "processing"),
        "ProcessingInputs": [
            {"InputName": "bars", "S3Input": {
                "S3Uri": f"{home}/bars/", "LocalPath": f"{folder}/input/bars", "S3DataType": "S3Prefix",
                "S3InputMode": "File", "S3DataDistributionType": "FullyReplicated"}},
        ],
        "ProcessingOutputConfig": {"Outputs": [
            {"OutputName": "output", "S3Output": {
                "S3Uri": f"{home}/datasets/{dataset}/", "LocalPath": f"{folder}/output",
                "S3UploadMode": "EndOfJob"}},
        ]},
        "ProcessingResources": {"ClusterConfig": {
            "InstanceCount": 1, "InstanceType": d.processing.instance, "VolumeSizeInGB": d.processing.volume_gb}},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60 * d.processing.minutes},
        "Environment": environment(aws, d),
        "Tags": names.tag_list(d.tags),
    }  # fmt: skip


def training(
    aws: Aws, d: Deployment, pair: str, dataset: str, run: str, settings: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """One pair. settings : further hyperparameters, as `bqx.ops.container train` takes them.

    The checkpoint's folder does not depend on the attempt: an interrupted job's next attempt goes on from there.
    """
    t = d.training
    stop = {"MaxRuntimeInSeconds": 60 * t.minutes}
    return {
        **_trained(aws, d, dataset),
        "HyperParameters": {"pair": pair, "dataset": dataset, "run": run, **(settings or {})},
        "OutputDataConfig": {"S3OutputPath": f"{models_home(aws, d)}/runs/{run}/{pair}/"},
        "CheckpointConfig": {"S3Uri": f"{models_home(aws, d)}/checkpoints/{run}/{pair}/"},
        "ResourceConfig": _resources(t.instance, t.volume_gb),
        "StoppingCondition": {**stop, "MaxWaitTimeInSeconds": 60 * t.wait_minutes} if t.spot else stop,
        "EnableManagedSpotTraining": t.spot,
        "Environment": environment(aws, d),
        "Tags": names.tag_list(d.tags),
    }


def tuning(
    aws: Aws, d: Deployment, pair: str, dataset: str, run: str, settings: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Trials of one pair, to the greatest `skill`."""
    t = d.tuning

    def between(name: str, bounds: tuple[int, int]) -> dict[str, str]:
        return {"Name": name, "MinValue": str(bounds[0]), "MaxValue": str(bounds[1]), "ScalingType": "Auto"}

    return {
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "skill"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": t.trials, "MaxParallelTrainingJobs": t.parallel},
            "ParameterRanges": {
                "IntegerParameterRanges": [
                    between("param.n_estimators", t.trees),
                    between("param.max_depth", t.depth),
                    between("param.min_child_samples", t.least_rows),
                ]
            },
            "TrainingJobEarlyStoppingType": "Auto",
        },
        "TrainingJobDefinition": {
            **_trained(aws, d, dataset),
            "StaticHyperParameters": {"pair": pair, "dataset": dataset, "run": run, **(settings or {})},
            "OutputDataConfig": {"S3OutputPath": f"{models_home(aws, d)}/tuning/{run}/{pair}/"},
            "ResourceConfig": _resources(t.instance, t.volume_gb),
            "StoppingCondition": {"MaxRuntimeInSeconds": 60 * t.minutes},
            "EnableManagedSpotTraining": False,
            "Environment": environment(aws, d),
        },
        "Tags": names.tag_list(d.tags),
    }


def environment(aws: Aws, d: Deployment) -> dict[str, str]:
    """Where containers find their secrets; no secret itself."""
    found = {"PROVIDER": "aws", "REGION": aws.region, "PREFIX": f"{d.prefix}/"}
    return {f"BQX_SECRETS_{key}": value for key, value in found.items()}


def models_home(aws: Aws, d: Deployment) -> str:
    return f"s3://{names.bucket(aws, d.prefix, 'models')}"


def _trained(aws: Aws, d: Deployment, dataset: str) -> dict[str, Any]:
    pattern = "bqx_metric name={} value=(-?[0-9.]+(?:e[-+]?[0-9]+)?)"
    data = f"s3://{names.bucket(aws, d.prefix, 'data')}/datasets/{dataset}/{PROJECT}/"
    return {
        "AlgorithmSpecification": {
            "TrainingImage": names.image(aws, d.images.training),
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": m, "Regex": pattern.format(m)} for m in METRICS],
        },
        "RoleArn": names.role_arn(aws, d, "training"),
        "InputDataConfig": [
            {"ChannelName": PROJECT, "DataSource": {"S3DataSource": {
                "S3DataType": "S3Prefix", "S3Uri": data, "S3DataDistributionType": "FullyReplicated"}}},
        ],
    }  # fmt: skip


def _resources(instance: str, volume_gb: int) -> dict[str, Any]:
    return {"InstanceCount": 1, "InstanceType": instance, "VolumeSizeInGB": volume_gb}

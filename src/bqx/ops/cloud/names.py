"""What things of a deployment are called; everything begins with its prefix."""

from __future__ import annotations

import hashlib

from bqx.ops.cloud.aws import Aws
from bqx.ops.cloud.description import Deployment, Job


def bucket(aws: Aws, prefix: str, use: str) -> str:
    """Buckets share one name space with everybody: a short hash of the account keeps them apart, and says nothing."""
    digest = hashlib.sha256(f"{aws.account}/{aws.region}".encode()).hexdigest()[:10]
    return f"{prefix}-{use}-{digest}"


def endpoint(prefix: str) -> str:
    return f"{prefix}-fx"


def release(prefix: str, release_id: str) -> str:
    """Model and endpoint configuration of a release."""
    return f"{prefix}-{release_id}"


def variant(release_id: str) -> str:
    """Of the endpoint, of a release."""
    return f"r-{release_id}"


def topic_arn(aws: Aws, prefix: str) -> str:
    return aws.arn("sns", f"{prefix}-alerts")


def image(aws: Aws, name: str) -> str:
    """In the account's own registry of containers."""
    suffix = "amazonaws.com.cn" if aws.partition == "aws-cn" else "amazonaws.com"
    return f"{aws.account}.dkr.ecr.{aws.region}.{suffix}/{name}"


def role_arn(aws: Aws, deployment: Deployment, job: Job) -> str:
    return f"arn:{aws.partition}:iam::{aws.account}:role/{deployment.role(job)}"


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": k, "Value": v} for k, v in tags.items()]

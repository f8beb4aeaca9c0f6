"""An S3 bucket: encrypted, versioned, closed to the public, reached over TLS 1.2 or newer only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from bqx.base.errors import CloudConflict
from bqx.ops.cloud.aws import Aws
from bqx.ops.cloud.kinds.kind import Have, Wanted
from bqx.ops.cloud.names import tag_list

BATCH = 1000
"""Objects removed in one request."""
ENCRYPTION = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
CLOSED = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}


def values(arn: str, expire: dict[str, int]) -> dict[str, Any]:
    """What a bucket of ours is like. expire : prefix of keys -> days after which objects are removed."""
    rules: list[dict[str, Any]] = [
        {"ID": "old-versions", "Status": "Enabled", "Filter": {"Prefix": ""},
         "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
         "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}
    ]  # fmt: skip
    for prefix, days in expire.items():
        rules.append({"ID": f"expire-{prefix.strip('/')}", "Status": "Enabled", "Filter": {"Prefix": prefix},
                      "Expiration": {"Days": days}})  # fmt: skip
    return {
        "versioning": "Enabled",
        "encryption": ENCRYPTION,
        "closed": CLOSED,
        "policy": tls_only(arn),
        "lifecycle": rules,
    }


def tls_only(arn: str) -> dict[str, Any]:
    """Refuses what does not come over TLS 1.2 or newer."""
    both = [arn, f"{arn}/*"]

    def deny(sid: str, condition: dict[str, Any]) -> dict[str, Any]:
        return {"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": both,
                "Condition": condition}  # fmt: skip

    return {
        "Version": "2012-10-17",
        "Statement": [
            deny("OnlyTls", {"Bool": {"aws:SecureTransport": "false"}}),
            deny("OnlyTls12", {"NumericLessThan": {"s3:TlsVersion": "1.2"}}),
        ],
    }


@dataclass(frozen=True)
class Bucket:
    name: str = "bucket"
    disposable: bool = False

    def have(self, aws: Aws, name: str) -> Have | None:
        if aws.find("s3", "HeadBucket", Bucket=name) is None:
            return None

        def get(operation: str, key: str) -> Any:
            return (aws.find("s3", operation, Bucket=name) or {}).get(key)

        policy = get("GetBucketPolicy", "Policy")
        there = {
            "versioning": get("GetBucketVersioning", "Status"),
            "encryption": get("GetBucketEncryption", "ServerSideEncryptionConfiguration"),
            "closed": get("GetPublicAccessBlock", "PublicAccessBlockConfiguration"),
            "policy": json.loads(policy) if policy else None,
            "lifecycle": get("GetBucketLifecycleConfiguration", "Rules"),
        }
        tags = {t["Key"]: t["Value"] for t in get("GetBucketTagging", "TagSet") or ()}
        return Have(there, tags)

    def create(self, aws: Aws, want: Wanted) -> None:
        place = {} if aws.region == "us-east-1" else {
            "CreateBucketConfiguration": {"LocationConstraint": aws.region}
        }  # fmt: skip
        if aws.find("s3", "HeadBucket", Bucket=want.name) is None:
            aws.call("s3", "CreateBucket", Bucket=want.name, **place)
        self.update(aws, want)

    def update(self, aws: Aws, want: Wanted) -> bool:
        v, bucket = want.values, want.name
        aws.call("s3", "PutBucketTagging", Bucket=bucket, Tagging={"TagSet": tag_list(want.tags)})
        aws.call("s3", "PutPublicAccessBlock", Bucket=bucket, PublicAccessBlockConfiguration=v["closed"])
        aws.call("s3", "PutBucketEncryption", Bucket=bucket, ServerSideEncryptionConfiguration=v["encryption"])
        aws.call("s3", "PutBucketVersioning", Bucket=bucket, VersioningConfiguration={"Status": v["versioning"]})
        aws.call("s3", "PutBucketLifecycleConfiguration", Bucket=bucket,
                 LifecycleConfiguration={"Rules": v["lifecycle"]})  # fmt: skip
        aws.call("s3", "PutBucketPolicy", Bucket=bucket, Policy=json.dumps(v["policy"]))
        return True

    def delete(self, aws: Aws, name: str) -> None:
        """With every version of every object in it."""
        if aws.find("s3", "HeadBucket", Bucket=name) is None:
            return
        for upload in list(aws.pages("s3", "ListMultipartUploads", "Uploads", Bucket=name)):
            aws.gone("s3", "AbortMultipartUpload", Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
        while keys := self._some(aws, name):
            answer = aws.call("s3", "DeleteObjects", Bucket=name, Delete={"Objects": keys, "Quiet": True})
            if errors := answer.get("Errors"):
                first = errors[0]
                raise CloudConflict(f"{len(errors)} objects stay: {first.get('Code')}", where=f"bucket {name}")
        aws.gone("s3", "DeleteBucket", Bucket=name)

    def listed(self, aws: Aws, prefix: str) -> list[str]:
        answer = aws.call("s3", "ListBuckets")
        return sorted(
            b["Name"] for b in answer["Buckets"] if b["Name"].startswith((f"{prefix}-data-", f"{prefix}-models-"))
        )

    @staticmethod
    def _some(aws: Aws, name: str) -> list[dict[str, str]]:
        answer = aws.call("s3", "ListObjectVersions", Bucket=name, MaxKeys=BATCH)
        found = [*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())]
        return [{"Key": v["Key"], "VersionId": v["VersionId"]} for v in found[:BATCH]]


BUCKET = Bucket()

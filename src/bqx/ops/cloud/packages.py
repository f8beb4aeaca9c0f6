"""Our registry in the cloud's: a package a model, approved when our gates let it rise, and the files of a release."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bqx.base.errors import CloudConflict, CloudHalfMade
from bqx.ops.cloud import names
from bqx.ops.cloud.aws import Aws
from bqx.ops.cloud.description import Deployment
from bqx.ops.cloud.release import Release, packed
from bqx.ops.cloud.state import CloudState
from bqx.research.artefact.folder import read_folder
from bqx.research.registry.model import Model, State

Approval = Literal["Approved", "PendingManualApproval", "Rejected"]
APPROVAL: dict[State, Approval] = {
    "pending": "PendingManualApproval", "approved": "Approved", "production": "Approved", "archived": "Rejected",
}  # fmt: skip
"""A model is approved here only after it has passed GATE1 to GATE6 there; nobody is asked for more or less."""
HASH = "sha256"
"""Name of an object's metadata."""
Note = Callable[[str], None]


@dataclass(frozen=True)
class Packaged:
    model: str
    approval: Approval
    action: Literal["made", "changed", "kept"]


def send_packages(
    aws: Aws, state: CloudState, d: Deployment, root: Path, models: Iterable[Model], note: Note = lambda _: None
) -> list[Packaged]:
    """Every registered model as a version of its pair's group, its approval as our registry has it now.

    ArtefactError for a model whose bytes are not those that were signed: nothing of it is sent.
    """
    out: list[Packaged] = []
    there: dict[str, dict[str, dict[str, Any]]] = {}
    for model in models:
        group = f"{d.prefix}-{model.pair}"
        if group not in there:
            there[group] = _packages(aws, group)
        approval = APPROVAL[model.state]
        have = there[group].get(model.digest)
        if have is None:
            _, _, digest = read_folder(root / model.path, root)
            if digest != model.digest:
                raise CloudConflict(f"the artefact of {model.name} is not the one registered", where=model.path)
            key = f"packages/{model.pair}/{model.digest}.tar.gz"
            with state.step("create", "package", model.name):
                url = put(aws, names.bucket(aws, d.prefix, "models"), key, packed_of(root, model))
                aws.call("sagemaker", "CreateModelPackage", **_package(aws, d, model, approval, url))
            action: Literal["made", "changed", "kept"] = "made"
        elif have["ModelApprovalStatus"] != approval:
            with state.step("update", "package", model.name, approval):
                aws.call("sagemaker", "UpdateModelPackage", ModelPackageArn=have["ModelPackageArn"],
                         ModelApprovalStatus=approval,
                         ApprovalDescription=f"{model.state} in the registry of bqx")  # fmt: skip
            action = "changed"
        else:
            action = "kept"
        note(f"{model.name}: {approval}, {action}")
        out.append(Packaged(model.name, approval, action))
    return out


def send_release(
    aws: Aws, state: CloudState, d: Deployment, root: Path, chosen: Iterable[Model], release: Release,
    note: Note = lambda _: None,
) -> None:  # fmt: skip
    """The models of a release under one prefix, as the endpoint looks for them; what is there already is compared."""
    bucket = names.bucket(aws, d.prefix, "models")
    if aws.find("s3", "HeadBucket", Bucket=bucket) is None:
        raise CloudHalfMade("the models' bucket is not there yet", where=bucket, fix="`bqx cloud apply` first")
    with state.step("upload", "release", release.id):
        for model in chosen:
            put(aws, bucket, f"releases/{release.id}/{model.pair}.tar.gz", packed_of(root, model))
    note(f"release {release.id}: {len(release.models)} models")


def packed_of(root: Path, model: Model) -> bytes:
    """The archive the container unpacks: one folder, named after the pair."""
    return packed(root / model.path, model.pair)


def put(aws: Aws, bucket: str, key: str, data: bytes) -> str:
    """Write an object unless the same bytes are there; its address."""
    digest = hashlib.sha256(data).hexdigest()
    have = aws.find("s3", "HeadObject", Bucket=bucket, Key=key)
    if have is None or have.get("Metadata", {}).get(HASH) != digest or have["ContentLength"] != len(data):
        md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
        aws.call("s3", "PutObject", Bucket=bucket, Key=key, Body=data, ContentMD5=md5, Metadata={HASH: digest},
                 ServerSideEncryption="AES256")  # fmt: skip
    return f"s3://{bucket}/{key}"


def _package(aws: Aws, d: Deployment, model: Model, approval: Approval, url: str) -> dict[str, Any]:
    text = {"pair": model.pair, "version": str(model.version), "digest": model.digest, "run": model.run,
            "run_hash": model.run_hash, "state": model.state, "simulated": str(model.simulated).lower()}  # fmt: skip
    for key in ("dataset", "dataset_hash", "catalogue_version", "code_version"):
        if value := str(model.facts.get(key, ""))[:256]:
            text[key] = value
    return {
        "ModelPackageGroupName": f"{d.prefix}-{model.pair}",
        "ModelPackageDescription": f"{model.name} of run {model.run}",
        "InferenceSpecification": {
            "Containers": [{"Image": names.image(aws, d.images.inference), "ModelDataUrl": url}],
            "SupportedContentTypes": ["application/json", "text/csv"],
            "SupportedResponseMIMETypes": ["application/json", "text/csv"],
            "SupportedRealtimeInferenceInstanceTypes": [d.endpoint.instance],
        },
        "ModelApprovalStatus": approval,
        "CustomerMetadataProperties": text,
    }


def _packages(aws: Aws, group: str) -> dict[str, dict[str, Any]]:
    """Packages of a group by the digest of their artefact."""
    if aws.find("sagemaker", "DescribeModelPackageGroup", ModelPackageGroupName=group) is None:
        raise CloudHalfMade(f"there is no package group {group}", where="the cloud", fix="`bqx cloud apply` first")
    out: dict[str, dict[str, Any]] = {}
    listed = aws.pages("sagemaker", "ListModelPackages", "ModelPackageSummaryList", ModelPackageGroupName=group)
    for item in listed:
        said = aws.call("sagemaker", "DescribeModelPackage", ModelPackageName=item["ModelPackageArn"])
        if digest := said.get("CustomerMetadataProperties", {}).get("digest"):
            out[digest] = said
    return out

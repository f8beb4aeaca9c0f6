"""Columns of the catalogue as feature groups, within the provider's limits."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bqx.base.errors import DeploymentError

if TYPE_CHECKING:
    from bqx.features.declare import Dataset

MOST_DEFINITIONS = 2500
"""Of a feature group, identifier and time among them."""
MOST_NAME = 64
RECORD, TIME = "pair", "event_time"
KEYS = 2
_NAME = re.compile(r"[a-zA-Z0-9]([-_]*[a-zA-Z0-9]){0,63}")


def chosen_datasets(wanted: Sequence[str] | str) -> list[Dataset]:
    """DeploymentError for a dataset that the catalogue does not have."""
    from bqx.features.catalogue import datasets

    known = datasets()
    names = list(known) if wanted == "all" else list(wanted)
    if unknown := [n for n in names if n not in known]:
        raise DeploymentError(
            f"there is no dataset {unknown[0]!r}", where="features.datasets", fix="`bqx features list`"
        )
    return [known[n] for n in names]


def definitions(datasets: Iterable[Dataset]) -> list[dict[str, str]]:
    """One a column, named DATASET-COLUMN; a name that is too long ends in a hash of all of it."""
    out = []
    for d in datasets:
        for column in d.columns:
            whole = column.dtype.startswith("i")
            out.append({"FeatureName": feature_name(d.name, column.name),
                        "FeatureType": "Integral" if whole else "Fractional"})  # fmt: skip
    return out


def feature_name(dataset: str, column: str) -> str:
    name = f"{dataset}-{column}"
    if len(name) > MOST_NAME:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        name = f"{name[: MOST_NAME - 9].rstrip('-_')}-{digest}"
    if not _NAME.fullmatch(name):
        raise DeploymentError(f"{dataset}.{column} cannot be named in a feature group", where="features.datasets")
    return name


def split(found: Sequence[Mapping[str, str]], most: int = MOST_DEFINITIONS) -> list[list[dict[str, str]]]:
    """Definitions of each group, in order, with identifier and time in all of them."""
    room = most - KEYS
    keys = [{"FeatureName": RECORD, "FeatureType": "String"}, {"FeatureName": TIME, "FeatureType": "String"}]
    return [[*keys, *map(dict, found[k : k + room])] for k in range(0, len(found), room)]


def group_values(columns: list[dict[str, str]], role: str, bucket: str, *, online: bool) -> dict[str, Any]:
    """As CreateFeatureGroup takes them."""
    made: dict[str, Any] = {
        "RecordIdentifierFeatureName": RECORD,
        "EventTimeFeatureName": TIME,
        "FeatureDefinitions": columns,
        "OfflineStoreConfig": {
            "S3StorageConfig": {"S3Uri": f"s3://{bucket}/feature-store/"}, "DisableGlueTableCreation": True,
        },
        "RoleArn": role,
    }  # fmt: skip
    return {**made, "OnlineStoreConfig": {"EnableOnlineStore": True}} if online else made

"""The newest rows of built features, put into the feature groups one record a group, pair and minute."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bqx.base.errors import DeploymentError
from bqx.ops.cloud.aws import Aws
from bqx.ops.cloud.feature_groups import RECORD, TIME, chosen_datasets, feature_name
from bqx.ops.cloud.kinds.kind import Wanted

if TYPE_CHECKING:
    import polars as pl

    from bqx.build.project import Project

Note = Callable[[str], None]


def send_rows(
    aws: Aws, project: Project, groups: Sequence[Wanted], datasets: Sequence[str] | str, last: int,
    note: Note = lambda _: None,
) -> int:  # fmt: skip
    """Records put. last : newest rows of each pair. Put again, a record replaces itself: the store keys by pair and
    time. NULL is an absent feature. Raises DeploymentError when there is nothing to send."""
    if not groups:
        raise DeploymentError("there are no feature groups", where="cloud.toml, features.datasets",
                              fix='name datasets, or "all", then `bqx cloud apply`')  # fmt: skip
    chosen = [d.name for d in chosen_datasets(datasets)]
    count = 0
    for pair in project.config.project.pairs:
        frame = project.frame(pair, datasets=chosen).tail(last)
        for record in records(pair, frame, groups):
            aws.call("sagemaker-featurestore-runtime", "PutRecord", **record)
            count += 1
        note(f"{pair}: {frame.height} rows")
    return count


def records(pair: str, frame: pl.DataFrame, groups: Sequence[Wanted]) -> Iterator[dict[str, Any]]:
    """Arguments of PutRecord, by minute and group. frame : `ts_utc` and `dataset.column`."""
    columns = {feature_name(*name.split(".", 1)): name for name in frame.columns if "." in name}
    wanted = {
        g.name: [d["FeatureName"] for d in g.values["FeatureDefinitions"] if d["FeatureName"] in columns]
        for g in groups
    }
    for row in frame.iter_rows(named=True):
        at: datetime = row["ts_utc"]
        keys = [{"FeatureName": RECORD, "ValueAsString": pair},
                {"FeatureName": TIME, "ValueAsString": at.strftime("%Y-%m-%dT%H:%M:%SZ")}]  # fmt: skip
        for group, features in wanted.items():
            held = [
                {"FeatureName": f, "ValueAsString": _text(value)}
                for f in features
                if (value := row[columns[f]]) is not None
            ]
            if held:
                yield {"FeatureGroupName": group, "Record": [*keys, *held]}


def _text(value: Any) -> str:
    """A float32's shortest text that gives the same float32 again."""
    if isinstance(value, float):
        assert math.isfinite(value)
        return repr(value)
    return str(int(value))

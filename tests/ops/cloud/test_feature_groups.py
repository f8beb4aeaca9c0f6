"""Feature groups: within the limits, every column once; rows as records, NULL left out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from cloud_world import PREFIX, World
from fake_model import complaint, operation

from bqx.base.errors import DeploymentError
from bqx.features.catalogue import datasets, own_datasets
from bqx.ops.cloud.feature_groups import (
    KEYS,
    MOST_NAME,
    chosen_datasets,
    definitions,
    feature_name,
    group_values,
    split,
)
from bqx.ops.cloud.feature_rows import records, send_rows
from bqx.ops.cloud.kinds.kind import Wanted
from bqx.ops.cloud.kinds.sagemaker import FEATURE_GROUP


def test_the_catalogue_fits_one_group_and_the_candidates_two() -> None:
    found = definitions(own_datasets().values())
    count = sum(len(d.columns) for d in own_datasets().values())
    assert len({d["FeatureName"] for d in found}) == len(found) == count >= 1264
    assert [len(g) for g in split(found)] == [count + KEYS]
    more = [{"FeatureName": f"f{k}", "FeatureType": "Fractional"} for k in range(2640)]
    groups = split(more)
    assert [len(g) for g in groups] == [2500, 2640 - 2498 + KEYS]
    assert [d["FeatureName"] for g in groups for d in g[KEYS:]] == [d["FeatureName"] for d in more]
    for group in split(found):
        values = group_values(group, f"arn:aws:iam::{'1' * 12}:role/x-processing", "x-data-1", online=True)
        assert complaint(operation("sagemaker", "CreateFeatureGroup"), {"FeatureGroupName": "x-1", **values}) is None
    too_many = group_values(split(more, most=2501)[0], f"arn:aws:iam::{'1' * 12}:role/x", "x-data-1", online=False)
    said = complaint(operation("sagemaker", "CreateFeatureGroup"), {"FeatureGroupName": "x-1", **too_many})
    assert said is not None
    assert "2501 is not within 1 and 2500" in said


def test_names() -> None:
    long = [feature_name("d" * 40, f"{'c' * 40}{k}") for k in range(3)]
    assert {len(n) for n in long} == {MOST_NAME}
    assert len(set(long)) == 3
    assert feature_name("technical_rate", "rsi_14") == "technical_rate-rsi_14"
    with pytest.raises(DeploymentError, match="there is no dataset 'nope'"):
        chosen_datasets(["nope"])
    assert [d.name for d in chosen_datasets("all")] == list(datasets())


class _Project:
    """A project's frame."""

    def __init__(self, frame: pl.DataFrame, pairs: tuple[str, ...]) -> None:
        self.held = frame
        self.config = type("C", (), {"project": type("P", (), {"pairs": pairs})()})()

    def frame(self, pair: str, datasets: Any) -> pl.DataFrame:
        return self.held


def test_rows_are_sent_with_null_left_out(world: Callable[[int], World]) -> None:
    w = world(1)
    text = (w.root / "cloud.toml").read_text()
    (w.root / "cloud.toml").write_text(f'{text}\n[features]\ndatasets = ["time_dual", "technical_rate"]\n')
    c = w.open()
    (group,) = [x for x in c.wanted() if x.kind == "feature-group"]
    FEATURE_GROUP.create(c.aws, group)
    names = [d["FeatureName"] for d in group.values["FeatureDefinitions"]][KEYS:]
    assert len(names) > 20
    columns = [n.replace("-", ".", 1) for n in names]
    at = [datetime(2024, 3, 7, 8, k, tzinfo=UTC) for k in range(3)]
    frame = pl.DataFrame({"ts_utc": at, **{c: pl.Series([1.5, None, 0.1], dtype=pl.Float32) for c in columns[:4]},
                          columns[4]: [1, 2, 3]})  # fmt: skip
    project: Any = _Project(frame, c.pairs)
    assert send_rows(c.aws, project, [group], ["time_dual", "technical_rate"], 2) == 2
    first, last = (r["Record"] for r in w.fake.things.records)
    assert first == [
        {"FeatureName": "pair", "ValueAsString": "eurusd"},
        {"FeatureName": "event_time", "ValueAsString": "2024-03-07T08:01:00Z"},
        {"FeatureName": names[4], "ValueAsString": "2"},
    ]
    assert len(last) == KEYS + 5
    assert {float(pl.Series([float(f["ValueAsString"])], dtype=pl.Float32)[0]) for f in last[KEYS : KEYS + 4]} == {
        float(pl.Series([0.1], dtype=pl.Float32)[0])
    }  # fmt: skip
    assert w.not_allowed(c.aws) == []
    assert list(records("eurusd", frame.select("ts_utc"), [group])) == []
    with pytest.raises(DeploymentError, match="no feature groups"):
        send_rows(c.aws, project, [], [], 1)
    assert FEATURE_GROUP.listed(c.aws, PREFIX) == [group.name]
    assert isinstance(group, Wanted)

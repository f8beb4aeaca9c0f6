"""What a study found, as a file that `bqx train --params` takes: parameters, and for which folds they are clean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bqx.base.errors import TuningError

KIND = "bqx tuning"
FORMAT = 1


def verdict(better: float, tuned: str, level: float = 0.05) -> str:
    """In words, from the one-sided p-value that the tuned set is no better than the default."""
    if better < level:
        return f"the tuned set is better than the default on the inner fold it was not chosen on (p {better:.3f})"
    return f"the tuned set is not shown to be better than the default (p {better:.3f}): {tuned}"


def params_of(
    data: dict[str, Any], where: str, *, estimator: str, dataset_hash: str, folds: Sequence[int]
) -> dict[str, Any]:
    """Parameters in a result of `bqx tune`; any other object of name and value is given back as it is.

    TuningError when a result was tuned for another estimator or dataset, or on the training window of a later fold
    than one of `folds`: that window holds the earlier fold's test block.
    """
    if data.get("kind") != KIND:
        return data
    if data.get("format") != FORMAT:
        raise TuningError(f"a result of format {data.get('format')!r}, this bqx knows {FORMAT}", where=where)
    _check(data, where, estimator, dataset_hash, folds)
    return dict(data["params"])


def _check(data: Mapping[str, Any], where: str, estimator: str, dataset_hash: str, folds: Sequence[int]) -> None:
    if data["estimator"] != estimator:
        raise TuningError(f"tuned for {data['estimator']}, not for {estimator}", where=where)
    if data["dataset_hash"] != dataset_hash:
        raise TuningError(f"tuned on dataset {data['dataset']} as it was then, not on this one", where=where)
    if early := [f for f in folds if f < data["fold"]]:
        raise TuningError(
            f"tuned on the training window of fold {data['fold']}, which holds the test block of fold {early[0]}",
            where=where,
            fix=f"train folds from {data['fold']} on, or tune on fold {min(folds)}",
        )

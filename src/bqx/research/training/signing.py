"""Somebody answers for a quarantined run: L1 to L6 once more, then a name and a reason on the record."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from bqx.base.atomic import write_text
from bqx.base.errors import DatasetError, LeakError, UsageError
from bqx.base.runlog import current_run, event
from bqx.research.dataset import Dataset
from bqx.research.leakage.suite import run_suite
from bqx.research.training.folder import SIGNED, Run

TESTS = ("L1", "L2", "L3", "L4", "L5", "L6")


def sign(run: Run, dataset: Dataset, *, by: str, reason: str, samples: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Run L1-L6 on every pair of the run and write `signed.json`; LeakError when one fails, and nothing is written.

    Raises UsageError when the run is not quarantined, DatasetError when `dataset` is not the one it was trained on.
    """
    if run.state != "quarantined":
        raise UsageError(f"run {run.name} is {run.state}, not quarantined", fix="there is nothing to sign")
    if not by.strip() or not reason.strip():
        raise UsageError("a name and a reason are needed")
    if dataset.hash != run.head["dataset_hash"]:
        raise DatasetError(f"dataset {dataset.name} is not what run {run.name} was trained on", where=dataset.name)
    results = {pair: run_suite(dataset, pair, samples=samples, seed=seed, tests=TESTS) for pair in run.pairs}
    if bad := [(pair, r) for pair, found in results.items() for r in found if not r.ok]:
        pair, first = bad[0]
        raise LeakError(f"{first.test} failed on {pair}: {first.detail}", where=f"dataset {dataset.name}")
    data = {
        "run_hash": run.hash,
        "by": by,
        "reason": reason,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "run_id": current_run().run_id,
        "too_good": run.head["result"]["too_good"],
        "tests": {pair: [r.as_dict() for r in found] for pair, found in results.items()},
    }
    write_text(run.folder / SIGNED, json.dumps(data, indent=1) + "\n")
    event("train.signed", run=run.name, by=by, reason=reason)
    return data

"""What a selection is worth: skill of each comparator, retention against all columns, agreement of the folds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CheckError
from bqx.research.compare_losses import Compared, diebold_mariano
from bqx.research.selection.agreement import stability_index
from bqx.research.selection.comparators import NAMES
from bqx.research.selection.run import load_losses, load_mask
from bqx.research.target_set import target
from bqx.research.walk import Score, scores

if TYPE_CHECKING:
    from bqx.build.project import Project

F8 = NDArray[np.float64]


@dataclass(frozen=True)
class PairJudged:
    """Of one pair, over its folds: Nogueira's index, comparator -> scores (targets, then pooled), and whether the
    selected columns lose against all of them (None where comparators were not fitted or are too few)."""

    pair: str
    folds: int
    stability: float | None
    scores: dict[str, list[Score]]
    retention: Compared | None

    def as_dict(self) -> dict[str, Any]:
        kept = None if self.retention is None else {
            "statistic": self.retention.statistic, "p_worse": self.retention.worse,
            "not_worse_at_5_percent": self.retention.worse >= 0.05,
        }  # fmt: skip
        return {
            "pair": self.pair, "folds": self.folds, "stability": self.stability, "retention": kept,
            "scores": {name: [s.as_dict() for s in found] for name, found in self.scores.items()},
        }  # fmt: skip


def judge(project: Project, manifest: dict[str, Any]) -> list[PairJudged]:
    """Every pair of a selection, from the masks and losses on disk."""
    name, every = manifest["name"], int(manifest["options"]["every"])
    targets = [target(t) for t in manifest["targets"]]
    pairs = list(dict.fromkeys(r["pair"] for r in manifest["folds"]))
    out = []
    for pair in pairs:
        numbers = [r["fold"] for r in manifest["folds"] if r["pair"] == pair]
        masks = [load_mask(project, name, pair, k)["selected"].to_numpy() for k in numbers]
        losses = [load_losses(project, name, pair, k) for k in numbers]
        found: dict[str, list[Score]] = {}
        kept = None
        if all(losses):
            tables = {c: np.concatenate([x[c] for x in losses]) for c in NAMES}
            try:
                names, horizons = [t.name for t in targets], [t.horizon for t in targets]
                found = {c: scores(table, names, horizons, every=every) for c, table in tables.items()}
                lag = math.ceil(max(horizons) / every)
                kept = diebold_mariano(pooled_loss(tables["selected"]), pooled_loss(tables["all"]), lag)
            except CheckError:  # too few test rows: the report says so
                found, kept = {}, None
        out.append(PairJudged(pair, len(numbers), stability_index(masks), found, kept))
    return out


def pooled_loss(table: F8) -> F8:
    """Mean over targets of the squared error in units of the random walk's, rows where all targets exist."""
    whole = table[(table[:, :, 4] > 0).all(axis=1)]
    return np.asarray((whole[:, :, 0] / whole[:, :, 1].mean(axis=0)).mean(axis=1))

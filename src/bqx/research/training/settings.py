"""What a training run is asked to do; all of it decides what the run forecasts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from bqx.base.errors import UsageError
from bqx.base.version import __version__
from bqx.research.artefact import HEADS, Recipe
from bqx.research.dataset import Dataset
from bqx.research.estimators import forecaster
from bqx.research.targets import HORIZONS
from bqx.research.training.phases import spacing_for

Scope = Literal["pair", "global"]
LIBRARIES = ("numpy", "polars", "lightgbm", "xgboost-cpu", "scikit-learn")
CODE = (".", "estimators", "conformal", "artefact", "training")
"""Folders of this room whose files decide a forecast."""


@dataclass(frozen=True)
class Settings:
    """every : bars between test rows. density : training rows a label's length (1: labels are disjoint); None is 3, or
    more in short histories (`phases.spacing_for`). scope : a model a pair, or one for all pairs. pairs, horizons,
    folds : None takes all that the dataset has.
    """

    estimator: str = "boosting"
    params: Mapping[str, Any] = field(default_factory=dict)
    heads: tuple[str, ...] = HEADS
    pairs: tuple[str, ...] | None = None
    horizons: tuple[int, ...] | None = None
    folds: tuple[int, ...] | None = None
    every: int = 15
    density: int | None = None
    scope: Scope = "pair"
    seed: int = 0

    def __post_init__(self) -> None:
        if "point" not in self.heads:
            raise UsageError("a run without the point head has no skill to measure", fix="add point to the heads")
        if self.every < 1 or (self.density is not None and self.density < 1):
            raise UsageError(f"rows every {self.every} bars at density {self.density} make no sense")
        if self.scope not in ("pair", "global"):
            raise UsageError(f"unknown scope {self.scope!r}", fix="pair or global")

    def recipe(self, dataset: Dataset) -> Recipe:
        """Estimator with all its parameters, heads, seed; UsageError for what it does not know."""
        heads = tuple(h for h in HEADS if h in self.heads)
        asked = Recipe(self.estimator, dict(self.params), self.heads, self.seed, dataset.splits.embargo)
        params = forecaster(self.estimator, **{**self.params, "seed": self.seed}).params()
        return Recipe(asked.estimator, dict(params), heads, self.seed, asked.embargo)

    def chosen(self, dataset: Dataset) -> tuple[tuple[str, ...], tuple[int, ...], tuple[int, ...]]:
        """Pairs, horizons and folds, in the dataset's order; UsageError names what it does not have."""
        have = [f.number for f in dataset.splits.folds()]
        pairs = _picked("pair", self.pairs, dataset.pairs, dataset.name)
        horizons = _picked("horizon", self.horizons, HORIZONS, dataset.name)
        if self.scope == "global" and len(pairs) < 2:
            raise UsageError("a model for all pairs needs two or more", fix="leave --global out")
        return pairs, horizons, _picked("fold", self.folds, have, dataset.name)

    def spacing(self, dataset: Dataset, horizons: Sequence[int]) -> dict[int, int]:
        """Bars between training rows of each horizon."""
        if self.density is None:
            first = dataset.splits.folds()[0]
            return {h: spacing_for(h, first.train_end - first.train_start) for h in horizons}
        if bad := [h for h in horizons if h % self.density]:
            raise UsageError(f"density {self.density} does not divide a horizon of {bad[0]} bars")
        return {h: h // self.density for h in horizons}


def _picked(what: str, wanted: Sequence[Any] | None, have: Sequence[Any], name: str) -> tuple[Any, ...]:
    if wanted is None:
        return tuple(have)
    if unknown := [w for w in wanted if w not in have]:
        raise UsageError(
            f"dataset {name} has no {what} {unknown[0]!r}", fix=f"it has {', '.join(str(h) for h in have)}"
        )
    return tuple(h for h in have if h in set(wanted))


@lru_cache(maxsize=1)
def code_version() -> str:
    """Version of bqx and a hash of the files that decide a forecast."""
    room, digest = Path(__file__).parents[1], hashlib.sha256()
    for folder in CODE:
        for path in sorted((room / folder).glob("*.py")):
            digest.update(f"{path.relative_to(room)}\n".encode() + path.read_bytes())
    return f"{__version__}+{digest.hexdigest()[:12]}"


def versions() -> dict[str, str]:
    """Of the installed libraries that decide a forecast."""
    out = {}
    for name in LIBRARIES:
        try:
            out[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            out[name] = "absent"
    return out

"""A training run before it begins: settings resolved against a dataset, and the head that says all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bqx.base.errors import UsageError
from bqx.research.artefact import Recipe
from bqx.research.dataset import Dataset
from bqx.research.split_plan import FoldSpan
from bqx.research.training.cells import Cell, make_cells
from bqx.research.training.folder import FORMAT, head_hash
from bqx.research.training.masks import Masks, from_names, from_selection
from bqx.research.training.settings import Settings, code_version, versions


@dataclass(frozen=True)
class Order:
    """spacing : bars between training rows of each horizon."""

    dataset: Dataset
    settings: Settings
    recipe: Recipe
    masks: Masks
    pairs: tuple[str, ...]
    horizons: tuple[int, ...]
    folds: tuple[int, ...]
    spacing: Mapping[int, int]

    @property
    def together(self) -> bool:
        return self.settings.scope == "global"

    @property
    def groups(self) -> dict[str, list[Cell]]:
        """Cells by the group of pairs that one model serves."""
        return make_cells(self.pairs, self.horizons, self.folds, together=self.together)

    @cached_property
    def spans(self) -> dict[int, FoldSpan]:
        """Training window and test block of each fold."""
        return {f.number: f for f in self.dataset.splits.folds()}

    def head(self, name: str) -> dict[str, Any]:
        """Of a run that has not begun."""
        s, d, recipe = self.settings, self.dataset, self.recipe
        head = {
            "format": FORMAT, "name": name, "dataset": d.name, "dataset_hash": d.hash, "lag_profile": d.profile,
            "catalogue_version": d.data["catalogue_version"], "estimator": recipe.estimator,
            "params": dict(recipe.params), "heads": list(recipe.heads), "pairs": list(self.pairs),
            "horizons": list(self.horizons), "folds": list(self.folds), "every": s.every,
            "spacing": {str(h): k for h, k in self.spacing.items()}, "scope": s.scope,
            "mask": {"source": self.masks.source, "digest": self.masks.digest}, "seed": recipe.seed,
            "gamma": recipe.gamma, "embargo": recipe.embargo, "splits": d.splits.text,
            "code_version": code_version(), "versions": versions(), "simulated": d.simulated, "state": "training",
            "result": {},
        }  # fmt: skip
        return {**head, "hash": head_hash(head)}


def make_order(
    dataset: Dataset, settings: Settings, *, selection: str | None = None, columns: Sequence[str] | None = None
) -> Order:
    """Check all that can be checked before anything is read; without selection and columns, all candidates.

    Raises UsageError for what the dataset or the estimator does not have, SelectionError for a selection of another
    dataset.
    """
    if selection is not None and columns is not None:
        raise UsageError("give a selection or a list of columns, not both")
    pairs, horizons, folds = settings.chosen(dataset)
    masks = from_selection(dataset, selection, pairs, folds) if selection else from_names(dataset, columns)
    spacing = settings.spacing(dataset, horizons)
    return Order(dataset, settings, settings.recipe(dataset), masks, pairs, horizons, folds, spacing)

"""The catalogue as seen from a project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bqx.features.catalogue import column, describe
from bqx.features.declare import Dataset


@dataclass(frozen=True)
class FeatureView:
    """`project.features`."""

    datasets: Mapping[str, Dataset]

    def list(self, dataset: str | None = None) -> list[dict[str, Any]]:
        """One record a column, as `bqx features list --json` prints them."""
        chosen = [d for d in self.datasets.values() if dataset in (None, d.name)]
        return [describe(home, item) for home in chosen for item in home.columns]

    def show(self, name: str) -> dict[str, Any]:
        """The record of `dataset.column`, or of a column name that only one dataset has."""
        return describe(*column(name))

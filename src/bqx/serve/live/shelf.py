"""Fits in force live: those that the project keeps, and those made since, which are part of the state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.features.fits import Artefact, Fit, Shelf

F8 = NDArray[np.float64]


class LiveShelf:
    """made : since live began, by (fit, pair, point)."""

    def __init__(self, kept: Shelf) -> None:
        self._kept = kept
        self.made: dict[tuple[str, str, int], F8] = {}

    def get(self, fit: Fit, pair: str, point: int) -> F8 | None:
        found = self.made.get((fit.name, pair, point))
        return self._kept.get(fit, pair, point) if found is None else found

    def put(self, fit: Fit, artefacts: list[Artefact]) -> None:
        for one in artefacts:
            self.made[one.fit, one.pair, one.point] = one.values

    def forget(self, minute: int) -> None:
        """Drop fits made from `minute` on: bars before them were corrected."""
        self.made = {key: value for key, value in self.made.items() if key[2] < minute}

    def state(self) -> dict[str, NDArray[Any]]:
        return {f"{name} {pair} {point}": value.copy() for (name, pair, point), value in self.made.items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self.made = {}
        for key, value in state.items():
            name, pair, point = key.split(" ")
            self.made[name, pair, int(point)] = value

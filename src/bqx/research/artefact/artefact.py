"""A trained model of one pair and its horizons: predict, write signed, load only what is vouched for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import ArtefactError, UsageError
from bqx.research.artefact.folder import digest_of, manifest_bytes, read_folder, write_folder
from bqx.research.artefact.horizon import COLUMNS, HorizonModel
from bqx.research.artefact.keys import Signer
from bqx.research.artefact.pool import indicators
from bqx.research.artefact.predictions import Predictions
from bqx.research.artefact.recipe import Recipe
from bqx.research.estimators.heads import LEVELS

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


@dataclass(frozen=True)
class Artefact:
    """`manifest` is what is signed, but for sizes and hashes of files; `columns` the candidates in order.

    pool : pairs that one model was trained on together, empty for a model of this pair alone.
    """

    pair: str
    columns: tuple[str, ...]
    pool: tuple[str, ...]
    models: Mapping[int, HorizonModel]
    manifest: Mapping[str, Any]

    @property
    def horizons(self) -> tuple[int, ...]:
        return tuple(self.models)

    @property
    def simulated(self) -> bool:
        """Whether it was trained on the simulated market."""
        return bool(self.manifest["simulated"])

    @cached_property
    def digest(self) -> str:
        """Names it: of everything but the signature."""
        return digest_of(manifest_bytes(self.manifest, self.files()))

    def predict(
        self,
        X: F4,
        *,
        columns: Sequence[str] | None = None,
        minute: I8 | None = None,
        sigma: F8 | None = None,
    ) -> Predictions:
        """Forecasts of rows X (n, columns), float32, NaN for NULL.

        columns : names of X's columns, checked when given. minute (since 1970) and sigma (bps), (n,), choose the cell
        whose intervals hold; without both, the intervals of all rows together. ArtefactError when X does not fit.
        """
        self.check_columns(X.shape[1] if columns is None else columns)
        if (minute is None) != (sigma is None):
            raise UsageError("a row's cell needs both, minute and sigma")
        Z = np.ascontiguousarray(np.asarray(X, dtype=np.float32))
        if self.pool:
            Z = np.concatenate([Z, indicators(self.pair, self.pool, len(Z))], axis=1)
        parts = []
        for model in self.models.values():
            cell = None
            if model.intervals is not None and minute is not None and sigma is not None:
                cell = model.intervals.cells.of(minute, sigma)
            parts.append(model.predict(Z, cell))
        return _predictions(self.horizons, np.stack(parts, axis=1))

    def check_columns(self, given: int | Sequence[str]) -> None:
        """ArtefactError unless names (or their number) are those the model was trained on, in that order."""
        if isinstance(given, int):
            if given != len(self.columns):
                raise ArtefactError(f"{given} columns given, the model of {self.pair} has {len(self.columns)}")
            return
        if tuple(given) != self.columns:
            pairs = zip([*given, *[None] * len(self.columns)], self.columns, strict=False)
            at, (have, want) = next(((k, p) for k, p in enumerate(pairs) if p[0] != p[1]), (len(given), (None, None)))
            raise ArtefactError(f"column {at} is {have}, the model of {self.pair} was trained with {want} there")

    def check_catalogue(self) -> None:
        """ArtefactError when the columns are computed by other formulas now than when the model was trained."""
        from bqx.features.catalogue import extensions
        from bqx.research.candidates import catalogue_version, wider_in

        then = str(self.manifest["catalogue_version"])
        wider = wider_in(then)
        now = catalogue_version(tuple(name for name in wider if name in extensions()) if wider else ())
        if then != now:
            raise ArtefactError(
                f"the model of {self.pair} was trained on catalogue {then}, this bqx computes {now}",
                fix="train it again, or serve it with the bqx that trained it",
            )

    def files(self) -> dict[str, bytes]:
        return {k: v for model in self.models.values() for k, v in model.files().items()}

    def save(self, folder: Path, signer: Signer) -> str:
        """Write the folder, whole or not at all; the digest. Equal models give equal bytes."""
        return write_folder(folder, self.manifest, self.files(), signer)

    @classmethod
    def load(cls, folder: Path, trusted: Path | Collection[str]) -> Artefact:
        """From a folder; `trusted` are public keys, or the project whose models/trusted.keys counts.

        ArtefactError for whatever is changed, absent, added, unsigned or signed by another; nothing of it is used.
        """
        facts, files, _ = read_folder(folder, trusted)
        manifest = {k: v for k, v in facts.items() if k not in ("files", "format")}
        recipe = recipe_of(manifest["recipe"])
        held = {int(h): fact for h, fact in manifest["models"].items()}
        models = {h: HorizonModel.restore(h, recipe, held[h], files) for h in sorted(held)}
        return cls(manifest["pair"], tuple(manifest["columns"]), tuple(manifest["pool"]), models, manifest)


def recipe_of(data: Mapping[str, Any]) -> Recipe:
    return Recipe(**{**data, "heads": tuple(data["heads"])})


def _predictions(horizons: tuple[int, ...], table: F8) -> Predictions:
    """From values (n, horizons, COLUMNS)."""
    at = {name: k for k, name in enumerate(COLUMNS)}
    single = {k: table[:, :, at[k]] for k in ("f3", "f4", "p_up", "lo80", "hi80", "lo90", "hi90")}
    return Predictions(horizons, LEVELS, quantiles=table[:, :, 3:8], **single)

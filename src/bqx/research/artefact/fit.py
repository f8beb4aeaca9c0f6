"""Fit artefacts: one pair by itself, or one model for several pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from bqx.base.errors import UsageError
from bqx.base.version import __version__
from bqx.market.calendar import datetime_of
from bqx.research.artefact.artefact import Artefact
from bqx.research.artefact.horizon import HorizonModel, fit_horizon, fit_together
from bqx.research.artefact.pool import check_pool
from bqx.research.artefact.recipe import Recipe
from bqx.research.artefact.rows import TrainingRows
from bqx.research.estimators.registry import distribution_of

LIBRARIES = ("numpy", "lightgbm", "xgboost-cpu")
NEEDED = ("dataset", "dataset_hash", "lag_profile", "catalogue_version", "simulated")
"""Facts that a caller must give; more may be added, JSON values all."""


def fit_model(rows: TrainingRows, recipe: Recipe, facts: Mapping[str, Any]) -> Artefact:
    """Fit all horizons of `rows`; `facts` go into the manifest and must hold NEEDED."""
    models = {h: fit_horizon(rows, h, recipe) for h in rows.horizons}
    return assemble(rows, recipe, facts, models)


def fit_pooled(parts: Mapping[str, TrainingRows], recipe: Recipe, facts: Mapping[str, Any]) -> dict[str, Artefact]:
    """One model for all pairs of `parts`, given back as an artefact a pair, each with intervals of its own rows."""
    pool = check_pool(parts)
    horizons = parts[pool[0]].horizons
    fitted = {h: fit_together({p: parts[p] for p in pool}, pool, h, recipe) for h in horizons}
    return {p: assemble(parts[p], recipe, facts, {h: fitted[h][p] for h in horizons}, pool) for p in pool}


def assemble(
    rows: TrainingRows,
    recipe: Recipe,
    facts: Mapping[str, Any],
    models: Mapping[int, HorizonModel],
    pool: Sequence[str] = (),
) -> Artefact:
    """An artefact of horizons fitted one by one, from the rows they were fitted on."""
    if gone := [k for k in NEEDED if k not in facts]:
        raise UsageError(f"an artefact must say its {', '.join(gone)}")
    if not models:
        raise UsageError("an artefact needs a horizon or more")
    manifest = {
        **facts,
        "pair": rows.pair,
        "pool": list(pool),
        "horizons": sorted(models),
        "columns": list(rows.columns),
        "window": {
            "first": datetime_of(int(rows.minute[0])).isoformat(),
            "last": datetime_of(int(rows.minute[-1])).isoformat(),
            "rows": len(rows),
        },
        "recipe": recipe.as_dict(),
        "models": {str(h): models[h].facts() for h in sorted(models)},
        "code_version": __version__,
        "plug_in": distribution_of(recipe.estimator),
        "libraries": {name: _version(name) for name in LIBRARIES},
    }
    return Artefact(rows.pair, rows.columns, tuple(pool), {h: models[h] for h in sorted(models)}, manifest)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None

"""A trained model of a pair as a signed folder: `fit_model` makes it, `Artefact.load` trusts what it can check."""

from __future__ import annotations

from bqx.research.artefact.artefact import Artefact
from bqx.research.artefact.fit import fit_model, fit_pooled
from bqx.research.artefact.horizon import HorizonModel, fit_horizon
from bqx.research.artefact.keys import SIGNING_KEY, Signer, make_key, read_trusted, trust
from bqx.research.artefact.predictions import Predictions
from bqx.research.artefact.recipe import HEADS, Recipe
from bqx.research.artefact.rows import TrainingRows

__all__ = [
    "HEADS",
    "SIGNING_KEY",
    "Artefact",
    "HorizonModel",
    "Predictions",
    "Recipe",
    "Signer",
    "TrainingRows",
    "fit_horizon",
    "fit_model",
    "fit_pooled",
    "make_key",
    "read_trusted",
    "trust",
]

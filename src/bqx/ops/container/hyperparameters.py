"""Hyperparameters of a training job: a service passes every value as text."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bqx.base.errors import ContainerError

if TYPE_CHECKING:
    from bqx.research.training.settings import Settings

NAME = "hyperparameters.json"
PARAMETER = "param."
"""Before the name of an estimator's parameter: param.num_leaves."""


@dataclass(frozen=True)
class Hyper:
    """As `bqx train` takes them. run : name of the run, DATASET-PAIR unless told. columns : names, or () for all."""

    pair: str
    dataset: str
    run: str = ""
    selection: str | None = None
    columns: tuple[str, ...] = ()
    estimator: str = "boosting"
    heads: tuple[str, ...] = ()
    horizons: tuple[int, ...] = ()
    folds: tuple[int, ...] = ()
    every: int = 15
    density: int | None = None
    seed: int = 0
    workers: int = 1
    retry: int = 1
    quorum: float = 1.0
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.run or f"{self.dataset}-{self.pair}"

    def settings(self) -> Settings:
        """For :func:`bqx.research.training.order.make_order`."""
        from bqx.research.artefact import HEADS
        from bqx.research.training.settings import Settings

        return Settings(
            estimator=self.estimator, params=dict(self.params), heads=self.heads or HEADS, pairs=(self.pair,),
            horizons=self.horizons or None, folds=self.folds or None, every=self.every, density=self.density,
            seed=self.seed,
        )  # fmt: skip


_WORDS = {"columns", "heads"}
_NUMBERS = {"horizons", "folds"}
_WHOLE = {"every", "density", "seed", "workers", "retry"}
_KNOWN = tuple(Hyper.__dataclass_fields__)


def read_hyperparameters(raw: Any) -> Hyper:
    """From the object of hyperparameters.json; ContainerError names the first that is unknown or cannot be."""
    if not isinstance(raw, dict):
        raise ContainerError("hyperparameters are an object of name and text", where=NAME)
    given: dict[str, Any] = {}
    params: dict[str, Any] = {}
    for key, value in raw.items():
        text = value if isinstance(value, str) else json.dumps(value)
        if key.startswith(PARAMETER):
            params[key.removeprefix(PARAMETER)] = _literal(text)
        elif key not in _KNOWN or key == "params":
            near = difflib.get_close_matches(key, _KNOWN, 1)
            raise ContainerError(
                f"unknown hyperparameter {key!r}", where=NAME,
                fix=f"did you mean {near[0]}?" if near else f"known: {', '.join(_KNOWN[:-1])}, {PARAMETER}NAME",
            )  # fmt: skip
        elif text.strip():
            given[key] = _value(key, text.strip())
    for needed in ("pair", "dataset"):
        if needed not in given:
            raise ContainerError(f"the hyperparameter {needed!r} is missing", where=NAME)
    return Hyper(**given, params=params)


def _value(key: str, text: str) -> Any:
    if key == "pair":
        from bqx.market.pairs import parse_pair

        return parse_pair(text).name
    try:
        if key in _WORDS:
            return tuple(text.replace(",", " ").split())
        if key in _NUMBERS:
            return tuple(_natural(word) for word in text.replace(",", " ").split())
        if key in _WHOLE:
            found = _natural(text)
            if key in ("every", "density", "workers") and found < 1:
                raise ValueError(text)
            return found
        if key == "quorum":
            return float(text)
    except ValueError as error:
        raise ContainerError(f"{key} is {text!r}", where=NAME, fix="give a whole number, or several: 15,60") from error
    return text


def _natural(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError(text)
    return int(text)


def _literal(text: str) -> Any:
    """A number, true, false or null where the text is one, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text

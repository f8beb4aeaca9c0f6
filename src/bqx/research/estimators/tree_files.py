"""Boosters as files of their own library's text format; each name says which it is of how many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bqx.base.errors import ArtefactError
from bqx.research.estimators.engine import Engine


def model_files(engine: Engine, models: Sequence[Any]) -> dict[str, bytes]:
    return {_name(k, len(models), engine): engine.dump(m) for k, m in enumerate(models)}


def load_models(engine: Engine, files: Mapping[str, bytes]) -> list[Any]:
    """Boosters in order; ArtefactError when one is absent or none is there."""
    found = [name for name in files if name.startswith("booster_")]
    count = len(found)
    wanted = [_name(k, count, engine) for k in range(count)]
    if not count or sorted(found) != sorted(wanted):
        raise ArtefactError(f"boosters are absent or misnamed: {sorted(files)}")
    return [engine.load(files[name]) for name in wanted]


def _name(k: int, count: int, engine: Engine) -> str:
    return f"booster_{k + 1:02}_of_{count:02}{engine.suffix}"

"""Boosters as files of their own library's text format, numbered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bqx.base.errors import ArtefactError
from bqx.research.estimators.engine import Engine


def model_files(engine: Engine, models: Sequence[Any]) -> dict[str, bytes]:
    return {f"booster_{k:02}{engine.suffix}": engine.dump(m) for k, m in enumerate(models)}


def load_models(engine: Engine, files: Mapping[str, bytes]) -> list[Any]:
    """Boosters in order of their numbers; ArtefactError when one is absent or none is there."""
    count = sum(name.startswith("booster_") for name in files)
    wanted = [f"booster_{k:02}{engine.suffix}" for k in range(count)]
    if not count or any(name not in files for name in wanted):
        raise ArtefactError(f"boosters are absent or misnamed: {sorted(files)}")
    return [engine.load(files[name]) for name in wanted]

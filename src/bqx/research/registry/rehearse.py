"""Rehearse a roll-back on a copy of the registry: does the model before serve again, whole and soon?"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from bqx.base.errors import UsageError
from bqx.research.artefact import Artefact
from bqx.research.registry.model import Model
from bqx.research.registry.promote import restore
from bqx.research.registry.store import NAME, Registry

MOST_SECONDS = 300.0


def rehearse(registry: Registry, model: Model) -> dict[str, Any]:
    """Put `model` into production on a copy, then bring back what served the pair before, or none; load what serves.

    Gives seconds and what would serve; the registry itself is only read. UsageError for an archived model.
    """
    if model.state == "archived":
        raise UsageError(f"{model.name} is archived")
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="bqx-rehearse-") as folder:
        copy = Path(folder) / NAME
        copy.parent.mkdir()
        shutil.copyfile(registry.path, copy)
        other = Registry(Path(folder))
        former = other.production(model.pair)
        words = {"who": "rehearsal", "reason": "rehearsal"}
        if former is None or former.name != model.name:
            other.move(other.model(model.name), "production", **words, gates=[])
        risen = other.production(model.pair)
        assert risen is not None
        other.move(risen, "archived", **words, gates=[])
        if former is not None and former.name != model.name:
            archived = other.model(former.name)
            (Path(folder) / former.path).parent.mkdir(parents=True)
            shutil.copytree(registry.root / former.path, Path(folder) / former.path)
            shutil.copyfile(registry.root / "models" / "trusted.keys", Path(folder) / "models" / "trusted.keys")
            restore(other, archived, **words)
        served = other.production(model.pair)
    wanted = former if former is not None and former.name != model.name else None
    ok = served is None if wanted is None else served is not None and served.digest == wanted.digest
    if wanted is not None:
        ok = ok and Artefact.load(registry.root / wanted.path, registry.root).digest == wanted.digest
    seconds = time.perf_counter() - began
    return {
        "ok": ok and seconds < MOST_SECONDS,
        "model": model.name,
        "serves_after": None if served is None else served.name,
        "seconds": round(seconds, 3),
    }

"""Is a worker what its coordinator is? Versions, settings and code of both, and how they differ, in words."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING

from bqx.base.errors import WorkerMismatch
from bqx.base.version import __version__

if TYPE_CHECKING:
    from bqx.build.project import Project

PACKAGES = ("numba", "numpy", "polars")
"""What computes values and writes files, beside us."""
STORE_KEYS = ("kind", "manifest", "namespace", "codec", "files", "bucket", "prefix")


def versions() -> dict[str, str]:
    """Of this process: bqx, Python and the packages that decide about bytes."""
    return {"bqx": __version__, "python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def settings(project: Project) -> dict[str, str]:
    """Those that decide what is built and where it goes; not this host's threads, secrets and addresses."""
    config, calendar = project.config, project.calendar
    store = config.store.model_dump(mode="json")
    said = [calendar.version, list(calendar.yearly), [str(day) for day in calendar.dates]]
    return {
        "project.pairs": " ".join(config.project.pairs),
        "project.t0": config.project.t0,
        "project.calendar": hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16],
        **{f"store.{key}": str(store[key]) for key in STORE_KEYS},
    }


def facts(project: Project, datasets: Iterable[str]) -> dict[str, str]:
    """What must be the same everywhere to build `datasets`."""
    code = {
        f"code of {name}": f"{home.version}:{home.code_hash}" if (home := project.catalogue.get(name)) else "absent"
        for name in sorted(datasets)
    }
    return {**versions(), **settings(project), **code}


def check_same(wanted: Mapping[str, str], found: Mapping[str, str], worker: str) -> None:
    """Raise WorkerMismatch naming the worker and all differences."""
    wrong = [f"{k} is {found.get(k, 'absent')}, not {v}" for k, v in wanted.items() if found.get(k) != v]
    if wrong:
        more = f" and {len(wrong) - 4} more" if len(wrong) > 4 else ""
        raise WorkerMismatch(f"{'; '.join(wrong[:4])}{more}", where=worker)

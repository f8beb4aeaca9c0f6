"""Which code, settings and data a page was made from, as hashes a reader can compare."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import bqx
from bqx.features.catalogue import datasets, describe

if TYPE_CHECKING:
    from bqx.base.config import Config
    from bqx.store.contract import PartitionInfo

LIBRARIES = ("numpy", "numba", "polars", "duckdb", "matplotlib")


def commit() -> str:
    """Commit of the checkout this code runs from, with "+ local changes" when there are some."""
    folder = Path(bqx.__file__).resolve().parent
    try:
        head = _git(folder, "rev-parse", "--short=12", "HEAD")
        if not _git(folder, "ls-files", "__init__.py"):
            return "not run from a checkout"
        changed = _git(folder, "status", "--porcelain", "--", ".")
    except (OSError, subprocess.SubprocessError):
        return "not run from a checkout"
    return head + (" + local changes" if changed else "")


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()


def config_hash(config: Config) -> str:
    """Of every key and value, whatever their origins."""
    return _hash([row["key"], row["value"]] for row in config.origins())


def catalogue_hash() -> str:
    """Of every column's declaration and every dataset's code."""
    return _hash([home.code_hash, *(describe(home, item) for item in home.columns)] for home in datasets().values())


def store_hash(partitions: Iterable[PartitionInfo]) -> str:
    """Of the names and contents of partitions; the same on every machine that built the same from the same bars."""
    return _hash(sorted([p.name, p.content_hash] for p in partitions))


def libraries() -> str:
    """Python and the libraries whose versions can matter."""
    return ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in LIBRARIES)])


def _hash(parts: Iterable[object]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(json.dumps(part, sort_keys=True, default=str).encode() + b"\n")
    return digest.hexdigest()[:16]

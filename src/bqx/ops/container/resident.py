"""Models of a container: those of the folder model/, or those that a multi-model endpoint loads one by one."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from bqx.base.errors import ArtefactError, ContainerError, NoPrediction
from bqx.research.candidates import Candidate
from bqx.serve.api.model_sources import Located
from bqx.serve.api.models import ModelSet, load, seal_of
from bqx.serve.api.source import Row

TRUSTED = "BQX_TRUSTED_KEYS"
"""Environment: public keys, separated by commas, whose models are loaded. They are not secret."""
WHY = "served from a folder: research, signals HOLD"


class FolderModels:
    """Every signed model of a folder, `model/PAIR/manifest.json`; a ModelSource."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def stamp(self) -> object:
        return tuple((p.parent.name, p.stat().st_mtime_ns) for p in sorted(self.folder.glob("*/manifest.json")))

    def production(self) -> Mapping[str, Located]:
        found = sorted(p.parent for p in self.folder.glob("*/manifest.json"))
        return {path.name: _located(path) for path in found}


class LoadedModels(ModelSet):
    """Starts empty; models come and go by the name the endpoint gives them, and stay in memory until it says so."""

    def __init__(self, root: Path, trusted: Collection[str]) -> None:
        self.root, self._trusted = root.resolve(), trusted
        self._models = {}
        self.urls: dict[str, str] = {}

    def reload(self) -> list[str]:
        return []

    def add(self, name: str, url: str) -> None:
        """Load and verify the model that was unpacked at `url`; ContainerError for a place outside of the models'
        folder, ArtefactError for a model that cannot be trusted."""
        path = Path(url).resolve()
        if not path.is_relative_to(self.root):
            raise ContainerError("that is no folder of models", where=name, fix=f"below {self.root}")
        folder = model_in(path)
        made = load(_located(folder), self._trusted)
        self._models = {**self._models, name: made}
        self.urls = {**self.urls, name: url}

    def remove(self, name: str) -> None:
        """KeyError when it is not loaded."""
        del self.urls[name]
        self._models = {k: v for k, v in self._models.items() if k != name}


class NoRows:
    """The FeatureSource of a container: it has no store, so features come with the request."""

    name = "container"

    def stamp(self) -> object:
        return None

    def newest(self, pair: str, columns: Sequence[Candidate]) -> int | None:
        return None

    def row(self, pair: str, minute: int, columns: Sequence[Candidate]) -> Row:
        raise NoPrediction("no_row", "a container has no store", fix="send feature rows to /invocations")


def _located(folder: Path) -> Located:
    """As research; its version is what its manifest hashes to."""
    return Located(folder.name, folder, seal_of(folder)[:12], False, WHY)


def model_in(path: Path) -> Path:
    """The one signed model in an unpacked archive; ArtefactError when there is none, or more than one."""
    found = sorted(p.parent for p in path.glob("*/manifest.json"))
    if len(found) != 1:
        raise ArtefactError(f"{len(found)} models in the archive, not one", where=path.name)
    return found[0]


def trusted_keys(path: Path | None) -> frozenset[str]:
    """Public keys of a file (models/trusted.keys of a project), else of BQX_TRUSTED_KEYS; ContainerError without any.

    Never from the folder of the models: what it vouches for itself is vouched for by nobody.
    """
    if path is not None:
        lines = path.read_text("utf-8").splitlines()
        keys = frozenset(line.split()[0] for line in lines if line.strip() and not line.startswith("#"))
    else:
        keys = frozenset(os.environ.get(TRUSTED, "").replace(",", " ").split())
    if not keys:
        raise ContainerError(
            "no key is trusted, so no model can be loaded", where=TRUSTED,
            fix="set it to the public key that `bqx models keys` printed, or give --trusted FILE",
        )  # fmt: skip
    return keys

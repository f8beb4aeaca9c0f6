"""The models in memory: loaded, checked, and exchanged whole when something is promoted."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bqx.base.errors import ModelRefused, ServeError
from bqx.features.catalogue import extensions
from bqx.research.candidates import LAG_PROFILES, Candidate, candidates
from bqx.serve.api.model_sources import Located, ModelSource

if TYPE_CHECKING:
    from bqx.research.artefact import Artefact


@dataclass(frozen=True)
class Resident:
    """A loaded model with the candidates it reads, in its order. seal : hash of its manifest when it was loaded."""

    located: Located
    seal: str
    digest: str
    artefact: Artefact
    columns: tuple[Candidate, ...]
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def pair(self) -> str:
        return self.located.pair

    def demonstrated(self, simulated: bool) -> bool:
        """Whether it may signal on bars that are `simulated` or not: what was learnt on a simulated market is no skill
        on a real one, whatever gates it passed."""
        return self.located.promoted and (simulated or not self.artefact.simulated)

    @cached_property
    def key(self) -> str:
        """Names model and standing in caches."""
        return f"{self.digest}:{self.located.version}:{self.located.promoted}"


class ModelSet:
    """All models of a source, loaded and verified at the start; :meth:`reload` exchanges them in one assignment.

    A request keeps the model it began with. When any new model is refused, those in service stay, all of them.
    """

    def __init__(self, source: ModelSource, trusted: Path | Collection[str]) -> None:
        self.source, self._trusted = source, trusted
        self._stamp = source.stamp()
        self._models = self._load({})
        if not self._models:
            raise ServeError("there is no model to serve", fix="train one: `bqx train`, or promote one")

    def get(self, pair: str) -> Resident | None:
        return self._models.get(pair)

    def all(self) -> Mapping[str, Resident]:
        return self._models

    def reload(self) -> list[str]:
        """Pairs whose model or standing changed; ModelRefused or ArtefactError leaves everything as it was."""
        stamp = self.source.stamp()
        if stamp == self._stamp:
            return []
        old = self._models
        new = self._load(old)
        if not new:
            raise ServeError("the source has no model any more; those in service stay")
        self._models, self._stamp = new, stamp
        return sorted(p for p in {*old, *new} if p not in old or p not in new or old[p] is not new[p])

    def _load(self, old: Mapping[str, Resident]) -> dict[str, Resident]:
        out = {}
        for pair, located in sorted(self.source.production().items()):
            before = old.get(pair)
            same = before is not None and before.located == located and before.seal == seal_of(located.folder)
            out[pair] = before if same and before is not None else load(located, self._trusted)
        return out


def load(located: Located, trusted: Path | Collection[str]) -> Resident:
    """A verified model; ModelRefused when it is not of this pair, ArtefactError when it cannot be trusted."""
    from bqx.research.artefact import Artefact

    where, seal = str(located.folder), seal_of(located.folder)
    artefact = Artefact.load(located.folder, trusted=trusted)
    if artefact.pair != located.pair:
        raise ModelRefused(f"the artefact is of {artefact.pair}, not of {located.pair}", where=where)
    if located.digest not in (None, artefact.digest):
        raise ModelRefused("the artefact is not the one that was registered", where=where)
    artefact.check_catalogue()
    return Resident(located, seal, artefact.digest, artefact, columns_of(artefact.columns, where))


def seal_of(folder: Path) -> str:
    """Hash of the manifest, which has the hashes of all other files."""
    try:
        return hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    except OSError as error:
        raise ModelRefused(f"its manifest cannot be read: {error.strerror}", where=str(folder)) from error


def columns_of(names: tuple[str, ...], where: str = "") -> tuple[Candidate, ...]:
    """Candidates by name, of any lag profile; ModelRefused for one that does not exist."""
    known: dict[str, Candidate] = {}
    for profile in LAG_PROFILES:
        known |= {c.name: c for c in candidates(profile)}
    if any(name not in known for name in names):
        known |= {c.name: c for c in candidates("seed", tuple(extensions()))}
    try:
        return tuple(known[name] for name in names)
    except KeyError as error:
        raise ModelRefused(f"it reads {error.args[0]!r}, which is no candidate", where=where) from error

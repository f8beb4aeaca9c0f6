"""A release: the models of all pairs that serve together, packed under one prefix of the models' bucket."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bqx.base.errors import PromotionRefused, UsageError
from bqx.research.artefact.folder import read_folder
from bqx.research.artefact.keys import read_trusted
from bqx.research.registry.model import Model


@dataclass(frozen=True)
class Release:
    """id : of its models' digests. models : pair -> name in the registry. digests : pair -> artefact. columns : pair ->
    number of inputs, for a request that warms it. keys : public keys that the container trusts."""

    id: str
    models: Mapping[str, str]
    digests: Mapping[str, str]
    columns: Mapping[str, int]
    keys: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {"id": self.id, "models": dict(self.models), "digests": dict(self.digests),
                "columns": dict(self.columns), "keys": list(self.keys)}  # fmt: skip

    @classmethod
    def of(cls, data: Mapping[str, Any] | None) -> Release | None:
        return None if data is None else cls(data["id"], data["models"], data["digests"], data["columns"],
                                           tuple(data["keys"]))  # fmt: skip


def choose(models: Iterable[Model], pairs: Iterable[str], *, research: bool) -> dict[str, Model]:
    """The model that serves each pair: in production, or with `research` the newest approved one.

    PromotionRefused naming the pairs that have none: what has not passed its gates is not deployed.
    """
    models = list(models)
    found: dict[str, Model] = {}
    for pair in pairs:
        mine = [m for m in models if m.pair == pair]
        serving = [m for m in mine if m.state == "production"]
        approved = [m for m in mine if m.state == "approved"] if research else []
        if chosen := serving or approved[-1:]:
            found[pair] = chosen[0]
    lacking = [p for p in pairs if p not in found]
    if lacking:
        raise PromotionRefused(
            f"{len(lacking)} pairs have no model that may serve: {', '.join(lacking[:5])}"
            + ("..." if len(lacking) > 5 else ""),
            where="models/registry.sqlite",
            fix="`bqx models promote`; endpoint.research = true takes approved ones too, served as HOLD",
        )
    return found


def release_of(root: Path, chosen: Mapping[str, Model]) -> Release:
    """The same models give the same id. Every byte is verified: ArtefactError for a model that was changed."""
    digests, columns = {}, {}
    for pair, model in sorted(chosen.items()):
        facts, _, digest = read_folder(root / model.path, root)
        if digest != model.digest:
            raise UsageError(f"the artefact of {model.name} is not the one registered", fix="`bqx models list`")
        digests[pair] = digest
        columns[pair] = len(facts.get("columns", ()))
    text = json.dumps([digests, {p: m.state for p, m in sorted(chosen.items())}], sort_keys=True)
    identity = hashlib.sha256(text.encode()).hexdigest()[:10]
    names = {p: m.name for p, m in sorted(chosen.items())}
    return Release(identity, names, digests, columns, tuple(sorted(read_trusted(root))))


def packed(folder: Path, top: str) -> bytes:
    """model.tar.gz of an artefact's folder, in a folder `top`; the same bytes each time."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            data = path.read_bytes()
            info = tarfile.TarInfo(f"{top}/{path.relative_to(folder).as_posix()}")
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0, compresslevel=6) as stream:
        stream.write(plain.getvalue())
    return out.getvalue()

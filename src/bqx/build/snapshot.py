"""What the catalogue says, kept: with each build in the manifest, or as a file; and how two of them differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bqx.base.errors import InputError, StoreError
from bqx.base.version import __version__
from bqx.features.catalogue import describe
from bqx.features.declare import Dataset
from bqx.store.known import now_us

if TYPE_CHECKING:
    from bqx.build.project import Project

FORMAT = 1
_LEFT_OUT = ("dataset", "column", "version")  # said once, by the dataset


def declared(home: Dataset) -> dict[str, Any]:
    """A dataset's part of a snapshot: version, code hash, and every column's declaration."""
    columns = {}
    for item in home.columns:
        record = describe(home, item)
        columns[item.name] = {name: value for name, value in record.items() if name not in _LEFT_OUT}
    return {"version": home.version, "code_hash": home.code_hash, "columns": columns}


def take_snapshot(homes: Iterable[Dataset]) -> dict[str, Any]:
    """The catalogue as this code has it."""
    return {"format": FORMAT, "bqx": __version__, "datasets": {home.name: declared(home) for home in homes}}


def read_snapshot(path: Path) -> dict[str, Any]:
    """A snapshot file; InputError for anything else."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", where=str(path)) from error
    except ValueError as error:
        raise InputError("is not JSON", where=str(path), fix="make one with `bqx features snapshot -o FILE`") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT or not isinstance(data.get("datasets"), dict):
        raise InputError(
            f"is no catalogue snapshot of format {FORMAT}",
            where=str(path),
            fix="make one with `bqx features snapshot -o FILE`",
        )
    return data


def keep(project: Project, homes: Iterable[Dataset]) -> None:
    """Remember what the catalogue says of datasets that are about to be built, once a code version."""
    rows = []
    for home in homes:
        content = json.dumps(declared(home)["columns"], sort_keys=False)
        digest = hashlib.sha256(content.encode()).hexdigest()[:32]
        rows.append((home.name, f"{home.version}:{home.code_hash}", digest, content))
    with project.manifest.transaction() as con:
        for name, code, digest, content in rows:
            con.execute("INSERT OR IGNORE INTO declaration VALUES (?, ?)", (digest, content))
            con.execute("INSERT OR REPLACE INTO declared_by VALUES (?, ?, ?, ?)", (name, code, digest, now_us()))


def built_snapshot(project: Project) -> dict[str, Any]:
    """What the store's partitions were built from; of a dataset built by several versions the latest.

    Raises StoreError when nothing is built, or when it was built before declarations were kept.
    """
    codes: dict[str, set[str]] = {}
    for info in project.store.partitions(as_of=project.as_of):
        codes.setdefault(info.key.dataset, set()).update(piece.code_version for piece in info.pieces)
    if not codes:
        raise StoreError("nothing is built", fix="run `bqx build run`, or compare files")
    with project.manifest.connection() as con:
        rows = con.execute(
            "SELECT b.dataset, b.code_version, d.content FROM declared_by b JOIN declaration d USING (digest) "
            "ORDER BY b.known_at"
        ).fetchall()
    found: dict[str, Any] = {}
    for name, code, content in rows:
        if code in codes.get(name, ()):
            version, _, code_hash = code.partition(":")
            found[name] = {"version": int(version), "code_hash": code_hash, "columns": json.loads(content)}
    if unknown := sorted(set(codes) - set(found)):
        raise StoreError(
            f"what {', '.join(unknown)} was built from is not known",
            fix="its partitions are older than this record: `bqx build run --force` makes them anew",
        )
    return {"format": FORMAT, "bqx": __version__, "datasets": {name: found[name] for name in codes}}


@dataclass(frozen=True, slots=True)
class Difference:
    """One dataset or column that is not the same. what : `added`, `removed` or `changed`.

    fields : for a change, each field with its old and new value; a renamed column is one removed and one added.
    """

    dataset: str
    column: str | None
    what: str
    fields: Mapping[str, tuple[Any, Any]]

    def as_dict(self) -> dict[str, Any]:
        fields = {name: {"old": old, "new": new} for name, (old, new) in self.fields.items()}
        return {"dataset": self.dataset, "column": self.column, "what": self.what, "fields": fields}


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    """From one snapshot to another, in the order of the new one, what is gone last."""
    before, after = old["datasets"], new["datasets"]
    out: list[Difference] = []
    for name in [*after, *(n for n in before if n not in after)]:
        a, b = before.get(name), after.get(name)
        if a is None or b is None:
            out.append(Difference(name, None, "added" if a is None else "removed", {}))
            continue
        if fields := _changed(a, b, skip="columns"):
            out.append(Difference(name, None, "changed", fields))
        mine, yours = a["columns"], b["columns"]
        for column in [*yours, *(c for c in mine if c not in yours)]:
            if column not in mine or column not in yours:
                out.append(Difference(name, column, "added" if column in yours else "removed", {}))
            elif fields := _changed(mine[column], yours[column]):
                out.append(Difference(name, column, "changed", fields))
    return out


def _changed(a: Mapping[str, Any], b: Mapping[str, Any], skip: str = "") -> dict[str, tuple[Any, Any]]:
    names = [*b, *(n for n in a if n not in b)]
    return {n: (a.get(n), b.get(n)) for n in names if n != skip and a.get(n) != b.get(n)}

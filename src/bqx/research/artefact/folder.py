"""Files of an artefact on disk: written whole or not at all, read only when every byte is vouched for."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from bqx.base.atomic import alive, fsync_dir
from bqx.base.errors import ArtefactError
from bqx.base.faults import fault
from bqx.research.artefact.keys import Signer, check_signature, read_trusted

MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
FORMAT = 1
PART = ".part-"
"""Of the folder that is being written, before the process id."""


def write_folder(folder: Path, facts: Mapping[str, Any], files: Mapping[str, bytes], signer: Signer) -> str:
    """Write manifest, signature and files; the digest. A folder that holds the same artefact is left alone.

    ArtefactError when the folder holds anything else: artefacts are never changed.
    """
    manifest = manifest_bytes(facts, files)
    folder = Path(folder)
    if folder.exists():
        if _same(folder, {**files, MANIFEST: manifest}):
            return digest_of(manifest)
        raise ArtefactError("the folder holds something else", where=str(folder), fix="write to a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    sweep_folders(folder)
    work = folder.with_name(f".{folder.name}{PART}{os.getpid()}")
    work.mkdir()
    try:
        signature = {"key": signer.public, "signature": signer.sign(manifest)}
        for name, data in {**files, MANIFEST: manifest, SIGNATURE: _json(signature)}.items():
            path = work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
        for part in [p for p in work.rglob("*") if p.is_dir()] + [work]:
            fsync_dir(part)
        fault("before-commit")
        work.rename(folder)
        fault("after-commit")
        fsync_dir(folder.parent)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return digest_of(manifest)


def read_folder(folder: Path, trusted: Path | Collection[str]) -> tuple[dict[str, Any], dict[str, bytes], str]:
    """Facts, files and digest. Nothing is parsed but the signature before the signature is checked.

    trusted : public keys, or the project folder whose models/trusted.keys counts. ArtefactError for whatever is
    changed, absent, added, unsigned or signed by another.
    """
    folder, where = Path(folder), str(folder)
    keys = read_trusted(trusted) if isinstance(trusted, Path) else frozenset(trusted)
    manifest = _read(folder / MANIFEST)
    if not (folder / SIGNATURE).is_file():
        raise ArtefactError("the model is not signed", where=where)
    try:
        signature = json.loads(_read(folder / SIGNATURE))
        public, value = str(signature["key"]), str(signature["signature"])
    except (ValueError, KeyError, TypeError) as error:
        raise ArtefactError("the signature file cannot be read", where=where) from error
    check_signature(manifest, public, value, keys, where)
    facts = json.loads(manifest)
    if facts.get("format") != FORMAT:
        raise ArtefactError(f"the model has format {facts.get('format')!r}, this bqx knows {FORMAT}", where=where)
    return facts, _checked(folder, facts["files"]), digest_of(manifest)


def _checked(folder: Path, wanted: Mapping[str, Mapping[str, Any]]) -> dict[str, bytes]:
    links = [p for p in folder.rglob("*") if p.is_symlink()]
    have = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {MANIFEST, SIGNATURE}
    if links or have != set(wanted):
        odd = sorted(set(wanted) - have) or sorted(have - set(wanted)) or [links[0].name]
        state = "is absent" if odd[0] in wanted else "does not belong to the model"
        raise ArtefactError(f"{odd[0]} {state}", where=str(folder))
    out = {}
    for name, fact in sorted(wanted.items()):
        data = _read(folder / name)
        if hashlib.sha256(data).hexdigest() != fact["sha256"]:
            raise ArtefactError(f"{name} was changed after it was signed", where=str(folder))
        out[name] = data
    return out


def manifest_bytes(facts: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    """The manifest as it is signed: facts, then size and hash of every file."""
    held = {n: {"bytes": len(d), "sha256": hashlib.sha256(d).hexdigest()} for n, d in sorted(files.items())}
    return _json({"format": FORMAT, **facts, "files": held})


def digest_of(manifest: bytes) -> str:
    """Names an artefact: equal for equal contents, whoever signed them."""
    return hashlib.sha256(manifest).hexdigest()[:32]


def _same(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Whether the folder holds these very bytes, and a signature."""
    have = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    return have == {*files, SIGNATURE} and all((folder / n).read_bytes() == data for n, data in files.items())


def sweep_folders(folder: Path) -> None:
    """Delete what writers of `folder` left that were killed."""
    for path in folder.parent.glob(f".{folder.name}{PART}*"):
        pid = path.name.rpartition("-")[2]
        if pid.isdigit() and (int(pid) == os.getpid() or not alive(int(pid))):
            shutil.rmtree(path, ignore_errors=True)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtefactError(f"{path.name} cannot be read: {error.strerror}", where=str(path.parent)) from error


def _json(data: Mapping[str, Any]) -> bytes:
    return (json.dumps(data, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()

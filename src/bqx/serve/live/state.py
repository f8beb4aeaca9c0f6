"""The live state on disk: versioned, checksummed, written whole or not at all; arrays only, nothing is executed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.atomic import replacing
from bqx.base.errors import LiveStateError

Arrays = Mapping[str, NDArray[Any]]
MAGIC = b"BQXLIVE1"
_DTYPES = frozenset({"<f8", "<f4", "<i8", "<i4", "<i2", "|b1", "|i1", "|u1"})


@dataclass(frozen=True, slots=True)
class Saved:
    """minute : of the last row taken in. identity : of everything that decides its bits, each with its hash."""

    minute: int
    identity: Mapping[str, str]
    arrays: dict[str, NDArray[Any]]


def save(
    path: Path, minute: int, identity: Mapping[str, str], arrays: Arrays, *, span: tuple[int, int] = (0, 0)
) -> int:
    """Write; the number of bytes. span : of the stored bars it began from."""
    digest, places, at = hashlib.sha256(), {}, 0
    ordered = {name: np.ascontiguousarray(value) for name, value in sorted(arrays.items())}
    for name, value in ordered.items():
        digest.update(value.data)
        places[name] = [value.dtype.str, list(value.shape), at]
        at += value.nbytes
    told = {"minute": minute, "span": list(span), "identity": dict(identity), "bytes": at}
    head = json.dumps({**told, "sha256": digest.hexdigest(), "arrays": places}, separators=(",", ":")).encode()
    with replacing(path) as temp, temp.open("wb") as file:
        file.write(MAGIC + hashlib.sha256(head).digest() + len(head).to_bytes(8, "little") + head)
        for value in ordered.values():
            file.write(value.data)
    return at + len(head) + 48


def head_of(path: Path) -> dict[str, Any]:
    """The header; raises LiveStateError when the file is no state or its header is damaged."""
    return _read(path)[0]


def load(path: Path, identity: Mapping[str, str]) -> Saved:
    """Read and judge; raises LiveStateError when it is damaged or was made by another code, calendar or panel."""
    head, at = _read(path)
    theirs = head["identity"]
    differ = sorted(k for k in {*identity, *theirs} if identity.get(k) != theirs.get(k))
    if differ:
        shown = ", ".join(differ[:5]) + (f" and {len(differ) - 5} more" if len(differ) > 5 else "")
        raise LiveStateError(f"the state was made by other inputs: {shown}", where=str(path))
    data = path.read_bytes()[at:]
    if len(data) != head["bytes"] or hashlib.sha256(data).hexdigest() != head["sha256"]:
        raise LiveStateError("the state's bytes are not those that were written", where=str(path))
    arrays = {}
    for name, (dtype, shape, start) in head["arrays"].items():
        if dtype not in _DTYPES:
            raise LiveStateError(f"the state holds an array of type {dtype!r}", where=f"{path}: {name}")
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(data, dtype=dtype, count=count, offset=start).reshape(shape).copy()
    return Saved(int(head["minute"]), theirs, arrays)


def _read(path: Path) -> tuple[dict[str, Any], int]:
    try:
        with path.open("rb") as file:
            start = file.read(48)
            size = int.from_bytes(start[40:48], "little")
            head = file.read(size) if len(start) == 48 and size < 1 << 28 else b""
    except OSError as error:
        raise LiveStateError(f"the state cannot be read: {error.strerror}", where=str(path)) from error
    if start[:8] != MAGIC or hashlib.sha256(head).digest() != start[8:40]:
        raise LiveStateError("this is no live state, or its header is damaged", where=str(path))
    return dict(json.loads(head)), 48 + len(head)

"""Arrays as bytes and back, without pickle: equal arrays give equal bytes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import ArtefactError


def pack(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """An npz file; ArtefactError for arrays of objects, which only pickle could hold."""
    if bad := [k for k, v in arrays.items() if v.dtype.hasobject]:
        raise ArtefactError(f"array {bad[0]!r} holds Python objects", fix="keep numbers and text")
    out = io.BytesIO()
    np.savez(out, allow_pickle=False, **{k: np.asarray(v, order="C") for k, v in arrays.items()})
    return out.getvalue()


def unpack(data: bytes, where: str, *names: str) -> dict[str, NDArray[Any]]:
    """Arrays of an npz file; ArtefactError when it is none, would need pickle, or lacks one of `names`."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as held:
            found = {k: held[k] for k in held.files}
    except (ValueError, OSError, zipfile.BadZipFile, EOFError) as error:
        raise ArtefactError(f"not an npz file of plain arrays: {error}", where=where) from error
    if gone := [n for n in names if n not in found]:
        raise ArtefactError(f"array {gone[0]!r} is absent", where=where)
    return found

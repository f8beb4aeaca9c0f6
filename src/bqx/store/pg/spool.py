"""Staged rows wait on this machine's disk, encoded, until the coordinator sends them."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import xxhash

from bqx.base.errors import DiskError, StoreError
from bqx.base.faults import fault
from bqx.store.files import Written
from bqx.store.pg.encode import encode

FOLDER = "spool"
_BLOCK = 1 << 20


def spool(root: Path, stem: str, table: pl.DataFrame) -> Written:
    """Encode `table` to `spool/{stem}.copy`. No fsync: what is here is worth nothing before it is committed, and
    `unspool` compares the hash. Raises DiskError when this disk is full."""
    path = root / FOLDER / f"{stem}.copy"
    part = path.with_name(f".{path.name}.tmp-{os.getpid()}-{threading.get_ident()}")
    state, size = xxhash.xxh3_128(), 0
    try:
        path.parent.mkdir(exist_ok=True)
        with part.open("wb") as stream:
            for block in encode(table):
                state.update(block)
                size += stream.write(block)
        part.replace(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskError(
                f"no space left to stage {stem}", where=str(path.parent), fix="free space and run it again"
            ) from error
        raise
    finally:
        part.unlink(missing_ok=True)
    fault("after-spool")
    return Written(path.relative_to(root).as_posix(), size, str(state.hexdigest()))


def unspool(root: Path, path: str, digest: str) -> Iterator[bytes]:
    """The bytes of a staged file; raises StoreError, at the latest after the last of them, when they are not those."""
    state = xxhash.xxh3_128()
    fix = "run the same command again"
    try:
        with (root / path).open("rb") as stream:
            while block := stream.read(_BLOCK):
                state.update(block)
                yield block
    except FileNotFoundError:
        raise StoreError("the staged file is gone", where=path, fix=fix) from None
    if state.hexdigest() != digest:
        raise StoreError("the staged file's bytes have changed", where=path, fix=fix)

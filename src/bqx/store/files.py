"""Immutable files: their name holds the hash of their bytes, so the same name always means the same bytes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal

import polars as pl
import xxhash

from bqx.base.atomic import fsync_dir, write_bytes

Codec = Literal["lz4", "zstd", "uncompressed"]


@dataclass(frozen=True, slots=True)
class Written:
    """A file on disk: path relative to the project, size, xxh3-128 of its bytes."""

    path: str
    bytes: int
    file_hash: str


def write_table(root: Path, folder: str, stem: str, table: pl.DataFrame, codec: Codec) -> Written:
    """Write `table` to `{folder}/{stem}-{hash}.parquet` under `root`; the same table gives the same bytes and name."""
    buffer = BytesIO()
    table.rechunk().write_parquet(buffer, compression=codec, statistics=True)
    data = buffer.getvalue()
    digest = xxhash.xxh3_128(data).hexdigest()
    path = root / folder / f"{stem}-{digest[:16]}.parquet"
    if path.exists() and file_hash(path) == digest:
        os.utime(path)  # it may be an orphan of a killed run: young again, so that no gc takes it,
        fsync_dir(path.parent)  # and its name as durable as that of a new file
    else:
        _make_folder(path.parent, root)
        write_bytes(path, data)
    return Written(path.relative_to(root).as_posix(), len(data), digest)


def file_hash(path: Path) -> str:
    """xxh3-128 of a file's bytes."""
    state = xxhash.xxh3_128()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 22):
            state.update(chunk)
    return str(state.hexdigest())


def _make_folder(folder: Path, root: Path) -> None:
    """Create `folder` below `root`, each new name made durable in its parent."""
    if folder.is_dir():
        return
    if folder != root:
        _make_folder(folder.parent, root)
    folder.mkdir(exist_ok=True)
    fsync_dir(folder.parent)

"""Immutable files: their name holds the hash of their bytes, so the same name always means the same bytes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal, Protocol

import polars as pl
import xxhash

from bqx.base.atomic import fsync_dir, is_temporary, write_bytes

Codec = Literal["lz4", "zstd", "uncompressed"]
SUFFIXES = (".parquet", ".copy")


@dataclass(frozen=True, slots=True)
class Written:
    """A file that is there in full: path relative to the project, size, xxh3-128 of its bytes."""

    path: str
    bytes: int
    file_hash: str


@dataclass(frozen=True, slots=True)
class Found:
    """A file, or what is left of one, as a listing gives it. age : seconds since it was written or wanted again."""

    path: str
    bytes: int
    age: float


class Files(Protocol):
    """Where a project's immutable files are. where : for messages. folder : under which fetched files lie here."""

    where: str
    folder: Path

    def put(self, path: str, data: bytes, digest: str) -> None:
        """Write a file, wholly or not at all; one that is there already becomes young again."""

    def sizes(self, paths: Sequence[str]) -> list[int | None]:
        """Bytes of each file, None where there is none."""

    def fetch(self, files: Sequence[Written]) -> list[Path]:
        """Paths on this machine that can be read now; what comes from elsewhere is compared with its hash."""

    def damage(self, file: Written, deep: bool) -> str | None:
        """What is wrong with a file: missing, of another size, `deep`: of other bytes."""

    def listed(self, folder: str) -> Iterator[Found]:
        """Files of a folder and leftovers of interrupted writes, by path."""

    def remove(self, paths: Iterable[str]) -> None:
        """Delete files; absent ones are no error."""

    def tidy(self, folders: Iterable[str], min_age_s: float) -> None:
        """Remove what removal and interrupted writes leave behind besides files."""


class LocalFiles:
    """`Files` below a project folder on this machine."""

    def __init__(self, root: Path) -> None:
        self.folder, self.where = root, str(root)

    def put(self, path: str, data: bytes, digest: str) -> None:
        target = self.folder / path
        if target.exists() and file_hash(target) == digest:
            os.utime(target)  # it may be an orphan of a killed run: young again, so that no gc takes it,
            fsync_dir(target.parent)  # and its name as durable as that of a new file
        else:
            _make_folder(target.parent, self.folder)
            write_bytes(target, data)

    def sizes(self, paths: Sequence[str]) -> list[int | None]:
        return [self._size(path) for path in paths]

    def _size(self, path: str) -> int | None:
        try:
            return (self.folder / path).stat().st_size
        except FileNotFoundError:
            return None

    def fetch(self, files: Sequence[Written]) -> list[Path]:
        return [self.folder / file.path for file in files]

    def damage(self, file: Written, deep: bool) -> str | None:
        if wrong := wrong_size(self._size(file.path), file.bytes):
            return wrong
        if deep and file_hash(self.folder / file.path) != file.file_hash:
            return "the file's bytes have changed since it was written"
        return None

    def listed(self, folder: str) -> Iterator[Found]:
        now = time.time()
        for path in sorted((self.folder / folder).rglob("*")):
            if (path.suffix in SUFFIXES or is_temporary(path)) and not path.is_dir():
                stat = path.stat()
                yield Found(path.relative_to(self.folder).as_posix(), stat.st_size, now - stat.st_mtime)

    def remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            (self.folder / path).unlink(missing_ok=True)

    def tidy(self, folders: Iterable[str], min_age_s: float) -> None:
        if min_age_s:
            return  # a worker may be about to write into an empty folder
        for folder in folders:
            for path in sorted((self.folder / folder).rglob("*"), reverse=True):
                if path.is_dir() and not any(path.iterdir()):
                    path.rmdir()


def wrong_size(found: int | None, wanted: int) -> str | None:
    """What is wrong when a file of `wanted` bytes has `found`."""
    if found is None:
        return "the file is missing"
    return None if found == wanted else f"the file has {found} bytes instead of {wanted}"


def write_table(files: Files, folder: str, stem: str, table: pl.DataFrame, codec: Codec) -> Written:
    """Write `table` to `{folder}/{stem}-{hash}.parquet`; the same table gives the same bytes and name."""
    buffer = BytesIO()
    table.rechunk().write_parquet(buffer, compression=codec, statistics=True)
    data = buffer.getvalue()
    digest = xxhash.xxh3_128(data).hexdigest()
    written = Written(f"{folder}/{stem}-{digest[:16]}.parquet", len(data), digest)
    files.put(written.path, data, digest)
    return written


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

"""`Files` in a bucket: written under a condition, read through a folder of verified copies."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import xxhash

from bqx.base.atomic import write_bytes
from bqx.base.errors import StoreError
from bqx.store.files import Found, Written, wrong_size
from bqx.store.s3.client import S3Client

READERS = 8
"""Objects fetched side by side."""
FEW = 3
"""Up to so many objects of a folder are asked for one by one."""
READS = 3
"""So often an object is read before bytes of another hash are believed."""
YOUNG_SECONDS = 600.0
"""An object wanted again is made new again when it is older; `gc` leaves those under an hour to a running build."""
KEPT_SECONDS = 3600.0
"""Copies used within it are kept: a frame that was opened lazily still reads them."""


class S3Files:
    """Keys are `prefix` + path. Copies of what was read lie below `folder`, at most about `cache_gb` after a `tidy`."""

    def __init__(self, client: S3Client, prefix: str, folder: Path, *, cache_gb: float = 20.0) -> None:
        self.client, self.prefix, self.folder, self.cache_gb = client, prefix, folder, cache_gb
        self.where = f"{client.where}/{prefix}"

    def put(self, path: str, data: bytes, digest: str) -> None:
        key = self.prefix + path
        if self.client.create(key, data, digest):
            return
        head = self.client.head(key)
        if head is None or (head.bytes, head.digest) != (len(data), digest):
            found = "went away again" if head is None else f"has {head.bytes} bytes and hash {head.digest or 'unknown'}"
            raise StoreError(f"an object of this name {found}", where=f"{self.where}{path}", fix="run it again; "
                             "if it stays, somebody else writes under this prefix")  # fmt: skip
        if (head.now - head.modified).total_seconds() > YOUNG_SECONDS:
            self.client.touch(key, digest, head.etag)

    def sizes(self, paths: Sequence[str]) -> list[int | None]:
        """A unit's files are in one folder: one listing tells of all."""
        found: dict[str, int | None] = {}
        for folder, count in Counter(path.rpartition("/")[0] for path in paths).items():
            if count > FEW:
                found |= {each.path: each.bytes for each in self.listed(folder)}
            else:
                found |= {path: self._size(path) for path in paths if path.rpartition("/")[0] == folder}
        return [found.get(path) for path in paths]

    def _size(self, path: str) -> int | None:
        head = self.client.head(self.prefix + path)
        return None if head is None else head.bytes

    def fetch(self, files: Sequence[Written]) -> list[Path]:
        absent = list({f.path: f for f in files if not self._held(f)}.values())
        if len(absent) == 1:
            self._copy(absent[0])
        elif absent:
            with ThreadPoolExecutor(min(READERS, len(absent)), thread_name_prefix="bqx-s3") as pool:
                list(pool.map(self._copy, absent))
        return [self.folder / file.path for file in files]

    def damage(self, file: Written, deep: bool) -> str | None:
        """`deep` reads the object itself, whatever copy there is."""
        if wrong := wrong_size(self._size(file.path), file.bytes):
            return wrong
        if deep:
            try:
                self._copy(file)
            except StoreError as error:
                return error.what
        return None

    def listed(self, folder: str) -> Iterator[Found]:
        for key, size, age in self.client.listed(f"{self.prefix}{folder}/"):
            yield Found(key.removeprefix(self.prefix), size, age)

    def remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            self.client.delete(self.prefix + path)
            (self.folder / path).unlink(missing_ok=True)

    def tidy(self, folders: Iterable[str], min_age_s: float) -> None:
        """End uploads nobody goes on with, and keep the copies within their bound, those used last."""
        for folder in folders:
            self.client.abort_uploads(f"{self.prefix}{folder}/", min_age_s)
        copies = [(path.stat(), path) for path in self.folder.rglob("*") if path.is_file()]
        total = sum(stat.st_size for stat, _ in copies)
        for stat, path in sorted(copies, key=lambda item: item[0].st_mtime):
            if total <= self.cache_gb * 1e9 or time.time() - stat.st_mtime < KEPT_SECONDS:
                break
            path.unlink(missing_ok=True)
            total -= stat.st_size

    def _held(self, file: Written) -> bool:
        path = self.folder / file.path
        try:
            if path.stat().st_size != file.bytes:
                return False
            os.utime(path)
        except FileNotFoundError:
            return False
        return True

    def _copy(self, file: Written) -> None:
        """The object's bytes, compared with their hash, as a file here."""
        for _ in range(READS):
            data = self.client.read(self.prefix + file.path)
            if data is None:
                raise StoreError("the file is missing", where=f"{self.where}{file.path}", fix="bqx build run")
            if xxhash.xxh3_128(data).hexdigest() == file.file_hash:
                write_bytes(self.folder / file.path, data)
                return
        raise StoreError(
            "the file's bytes have changed since it was written",
            where=f"{self.where}{file.path}",
            fix="rebuild the partition: bqx build run; bars: import them again",
        )

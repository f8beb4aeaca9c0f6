"""Bars that live has taken, written before any value is made of them: records with checksums, only ever appended.

A record is in the system's hands when `append` returns, so that it outlives the process; `sync` puts it on the disk,
after the minute's values are out. A power cut can cost the minutes since, which the feed or the store has.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import LiveStateError
from bqx.serve.live.bar import FIELDS

F8 = NDArray[np.float64]
_HEAD = struct.Struct("<4sqqI")
MAGIC = b"BQXJ"


@dataclass(frozen=True, slots=True)
class Record:
    """minute : of the bars. at : when they were taken, microseconds UTC. bars : (fields, pairs). A later record of the
    same minute is a revision."""

    minute: int
    at: int
    bars: F8


class Journal:
    """One file. Raises LiveStateError when a record in the middle is damaged; a torn last one is cut off, for its
    minute was never used."""

    def __init__(self, path: Path, lanes: int) -> None:
        self.path, self.lanes = path, lanes
        self._size = 8 * len(FIELDS) * lanes
        path.parent.mkdir(parents=True, exist_ok=True)
        self.torn = self._mend()
        self._file = path.open("ab")
        self.count = path.stat().st_size // (_HEAD.size + 4 + self._size)

    def append(self, record: Record) -> None:
        body = np.ascontiguousarray(record.bars, dtype="<f8").tobytes()
        if len(body) != self._size:
            raise LiveStateError(f"a record of {len(body)} bytes in a journal of {self.lanes} pairs")
        head = _HEAD.pack(MAGIC, record.minute, record.at, zlib.crc32(body))
        self._file.write(head + struct.pack("<I", zlib.crc32(head)) + body)
        self._file.flush()
        self.count += 1

    def sync(self) -> None:
        os.fsync(self._file.fileno())

    def read(self, *, skip: int = 0) -> Iterator[Record]:
        """Records in the order they were taken, without the first `skip`."""
        whole = _HEAD.size + 4 + self._size
        with self.path.open("rb") as file:
            at = skip * whole
            file.seek(at)
            while part := file.read(whole):
                record = self._parse(part)
                if record is None:
                    raise LiveStateError(
                        f"record {at // whole} of the journal is damaged", where=f"{self.path}, byte {at}",
                        fix="`bqx live state rebuild` goes on from the stored bars alone",
                    )  # fmt: skip
                at += len(part)
                yield record

    def _parse(self, part: bytes) -> Record | None:
        if len(part) != _HEAD.size + 4 + self._size:
            return None
        head, body = part[: _HEAD.size], part[_HEAD.size + 4 :]
        magic, minute, at, check = _HEAD.unpack(head)
        mark = struct.unpack_from("<I", part, _HEAD.size)[0]
        if magic != MAGIC or mark != zlib.crc32(head) or check != zlib.crc32(body):
            return None
        return Record(minute, at, np.frombuffer(body, dtype="<f8").reshape(len(FIELDS), self.lanes).astype(np.float64))

    def _mend(self) -> int:
        """Cut a torn last record off; the bytes cut."""
        if not self.path.exists():
            return 0
        whole = _HEAD.size + 4 + self._size
        size = self.path.stat().st_size
        torn = size % whole
        if torn:
            with self.path.open("r+b") as file:
                file.truncate(size - torn)
                os.fsync(file.fileno())
        return torn

    def close(self) -> None:
        self._file.close()

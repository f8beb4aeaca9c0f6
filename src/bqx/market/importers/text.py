"""Read a text file, or the one CSV of a zip, within fixed bounds; every complaint names file and line."""

from __future__ import annotations

import hashlib
import re
import zipfile
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from bqx.base.errors import InputError

CHUNK = 1 << 20
MAX_LINE = 4096
"""Longest line in bytes; a bar takes about 100."""
MAX_FILE = 1 << 30
"""Largest text file in bytes, about 15 million bars."""
MAX_ENTRY = 64 << 20
"""Largest uncompressed CSV in a zip; a day of Lean quotes takes 0.1 MB."""
ZIP_MAGIC = b"PK"
_BOM = b"\xef\xbb\xbf"
_ALLOWED = bytes(range(32, 127)) + b"\t\n"


@dataclass(frozen=True, slots=True)
class Text:
    """ASCII text with `\\n` line ends. name : what errors call it. sha256, size : of the file on disk."""

    name: str
    path: Path
    entry: str
    data: bytes
    sha256: str
    size: int

    def where(self, line: int) -> str:
        return f"{self.name}:{line}"

    def quote(self, lines: Collection[int]) -> dict[int, str]:
        """These lines as they stand in the file."""
        rows = self.data.split(b"\n")
        return {n: rows[n - 1].decode("ascii") for n in lines}


def load(path: Path) -> Text:
    """Raises InputError for a file that is absent, empty, too large, not text, or a damaged zip."""
    try:
        with path.open("rb") as stream:
            zipped = stream.read(2) == ZIP_MAGIC
            stream.seek(0)
            if zipped:
                return _load_zip(path, stream)
            digest = hashlib.sha256()
            raw = _bounded(_chunks(stream, digest), str(path), MAX_FILE)
    except OSError as exc:
        raise InputError(f"cannot be read: {exc.strerror or exc}", where=str(path)) from exc
    return Text(str(path), path, path.name, _clean(raw, str(path)), digest.hexdigest(), len(raw))


def peek(path: Path) -> Text:
    """The first megabyte, up to its last line break, to detect a format by; size and sha256 are of that part."""
    try:
        with path.open("rb") as stream:
            head = stream.read(CHUNK)
    except OSError as exc:
        raise InputError(f"cannot be read: {exc.strerror or exc}", where=str(path)) from exc
    if head.startswith(ZIP_MAGIC):
        return load(path)
    raw = _bounded(iter([head]), str(path), MAX_FILE)
    if len(head) == CHUNK:
        raw = raw[: raw.rfind(b"\n") + 1]
    return Text(str(path), path, path.name, _clean(raw, str(path)), hashlib.sha256(raw).hexdigest(), len(raw))


def _chunks(stream: IO[bytes], digest: hashlib._Hash | None = None) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK):
        if digest is not None:
            digest.update(chunk)
        yield chunk


def _bounded(chunks: Iterator[bytes], name: str, limit: int) -> bytes:
    """Join chunks, giving up at the first overlong line, zero byte at the head, or beyond `limit` bytes."""
    parts: list[bytes] = []
    total = lines = pending = 0
    for chunk in chunks:
        if not parts and b"\0" in chunk[:4096]:
            raise InputError("is not text: it holds zero bytes", where=f"{name}:1", fix="export it as CSV in UTF-8")
        ends = np.flatnonzero(np.frombuffer(chunk, dtype=np.uint8) == 10)
        long = np.flatnonzero(np.diff(np.r_[-1 - pending, ends]) - 1 > MAX_LINE)
        pending = len(chunk) - 1 - int(ends[-1]) if len(ends) else pending + len(chunk)
        if len(long) or pending > MAX_LINE:
            raise InputError(
                f"line is longer than {MAX_LINE} bytes; a bar takes about 100",
                where=f"{name}:{lines + (int(long[0]) if len(long) else len(ends)) + 1}",
                fix="check that the file is a CSV of bars with line breaks",
            )
        lines += len(ends)
        total += len(chunk)
        if total > limit:
            raise InputError(f"is larger than {limit >> 20} MB", where=name, fix="split it by year")
        parts.append(chunk)
    return b"".join(parts)


def _clean(raw: bytes, name: str) -> bytes:
    """Strip the byte-order mark and carriage returns; refuse what is not printable ASCII."""
    data = raw.removeprefix(_BOM)
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    if not data.strip():
        raise InputError("file is empty", where=f"{name}:1", fix="export it again")
    if data.translate(None, _ALLOWED):
        bad = re.search(rb"[^\t\n\x20-\x7e]", data)
        if bad is None:
            raise InputError("is not text", where=name)
        line = data.count(b"\n", 0, bad.start()) + 1
        raise InputError(
            f"is not text: byte 0x{bad.group()[0]:02x}", where=f"{name}:{line}", fix="export it as CSV in UTF-8"
        )
    return data


def _without_reports(entries: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """HistData puts a status report of the same name, ending in .txt, beside the CSV."""
    reports = {info.filename[:-4] + ".txt" for info in entries if info.filename.lower().endswith(".csv")}
    return [info for info in entries if info.filename not in reports]


def _load_zip(path: Path, stream: IO[bytes]) -> Text:
    """The single CSV of a zip; read in memory, never extracted."""
    name = str(path)
    digest = hashlib.sha256()
    size = sum(len(chunk) for chunk in _chunks(stream, digest))
    try:
        with zipfile.ZipFile(path) as archive:
            entries = _without_reports([info for info in archive.infolist() if not info.is_dir()])
            if len(entries) != 1:
                raise InputError(f"zip holds {len(entries)} files instead of one CSV", where=name)
            info = entries[0]
            inside = f"{name}!{info.filename}"
            if "/" in info.filename or "\\" in info.filename or not info.filename.lower().endswith(".csv"):
                raise InputError(f"zip entry {info.filename!r} is not a plain CSV name", where=name)
            if info.file_size > MAX_ENTRY:
                raise InputError(
                    f"zip entry unpacks to {info.file_size:,} bytes, the limit is {MAX_ENTRY:,}", where=inside
                )
            with archive.open(info) as entry:
                raw = _bounded(_chunks(entry), inside, MAX_ENTRY)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, OSError) as exc:
        raise InputError(
            f"zip is damaged or truncated: {exc}", where=f"{name}:1", fix="download or export the file again"
        ) from exc
    return Text(inside, path, info.filename, _clean(raw, inside), digest.hexdigest(), size)

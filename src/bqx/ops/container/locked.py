"""Hashed lock files (requirements/*.lock): every line pinned, hashed and from no address."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import InvalidMarker, Marker
from packaging.utils import canonicalize_name

from bqx.base.errors import AuditError

_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9][A-Za-z0-9.!+_-]*)(?:\s*;\s*(.+))?")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
TARGET: Mapping[str, str] = {
    "implementation_name": "cpython", "os_name": "posix", "platform_machine": "x86_64",
    "platform_python_implementation": "CPython", "platform_release": "", "platform_system": "Linux",
    "platform_version": "", "python_full_version": "3.11.0", "python_version": "3.11", "sys_platform": "linux",
}  # fmt: skip
"""What the images are: their base has this Python; lines of the lock for others are left out."""


@dataclass(frozen=True)
class Pin:
    """A line of a lock. hashes : sha256 of every file of that version. marker : when it is installed, "" for always."""

    name: str
    version: str
    hashes: tuple[str, ...]
    marker: str
    line: int

    @property
    def key(self) -> str:
        """Name as package indexes compare it."""
        return str(canonicalize_name(self.name))

    def on_target(self) -> bool:
        return not self.marker or Marker(self.marker).evaluate({**TARGET, "extra": ""})

    def text(self) -> str:
        """As it stands in a lock."""
        head = f"{self.name}=={self.version}" + (f" ; {self.marker}" if self.marker else "")
        return " \\\n    ".join([head, *(f"--hash=sha256:{digest}" for digest in self.hashes)])


def read_lock(path: Path) -> tuple[Pin, ...]:
    """All lines; AuditError names the first that is not pinned, has no sha256, or names an address or an option."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AuditError(f"the lock cannot be read: {type(error).__name__}", where=str(path)) from error
    pins: list[Pin] = []
    for number, logical in _logical(text):
        where = f"{path.name}, line {number}"
        head, *rest = re.split(r"\s+(?=--hash=)", logical)
        found = _PIN.fullmatch(head.strip())
        if found is None:
            raise AuditError(f"{head[:60]!r} is not NAME==VERSION", where=where, fix="`make lock` makes such lines")
        hashes = [_HASH.fullmatch(word.strip()) for word in rest]
        if not hashes or None in hashes:
            raise AuditError(f"{found[1]} has {'a hash that is no sha256' if hashes else 'no hash'}", where=where)
        marker = (found[3] or "").strip()
        try:
            Marker(marker or "python_version > '3'")
        except InvalidMarker as error:
            raise AuditError(f"{found[1]} has the marker {marker!r}, which is none", where=where) from error
        pins.append(Pin(found[1], found[2], tuple(h[1] for h in hashes if h), marker, number))
    if not pins:
        raise AuditError("the lock is empty", where=str(path))
    held: dict[str, Pin] = {}
    for pin in pins:
        if pin.on_target():
            if pin.key in held:
                raise AuditError(f"{pin.name} is there twice", where=f"{path.name}, line {pin.line}")
            held[pin.key] = pin
    return tuple(pins)


def _logical(text: str) -> list[tuple[int, str]]:
    """Lines with their continuations joined, and the number of the first; comments and empty ones left out."""
    out: list[tuple[int, str]] = []
    begun, parts = 0, list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        bare = line.split(" #", 1)[0].rstrip()
        if not parts and (not bare.strip() or bare.lstrip().startswith("#")):
            continue
        begun = begun if parts else number
        parts.append(bare.removesuffix("\\").strip())
        if not bare.endswith("\\"):
            out.append((begun, " ".join(p for p in parts if p)))
            parts = []
    if parts:
        out.append((begun, " ".join(p for p in parts if p)))
    return out

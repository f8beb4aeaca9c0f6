"""Where bars came from: the record that the sources registry keeps."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SourceFile:
    """name as given, sha256 and bytes of the file on disk."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """vendor, licence: as the user states them. price_side: what open..close are. clock: see ClockFinding.as_dict.

    It holds no time and no folder, so that importing the same files again is the same source; the registry adds when.
    """

    vendor: str
    format: str
    price_side: str
    licence: str
    files: tuple[SourceFile, ...]
    clock: dict[str, Any]
    simulated: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

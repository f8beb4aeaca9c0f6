"""Trackers that are files: read, compared and replaced under a lock, so that two runs never lose each other's words."""

from __future__ import annotations

import fcntl
import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bqx.base.errors import TrackerError
from bqx.ops.tracker.outbox import Value
from bqx.ops.tracker.port import Change, Found, Uncertain, same

Row = dict[str, Value]
"""``{"code": "1.6.9", "status": "validated", ...}``"""


class FileTracker(ABC):
    """A folder with one file of records that people may read and edit; every write replaces it as a whole."""

    name: str
    batch = 1000

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    @property
    def identity(self) -> str:
        return self.name

    def probe(self) -> str:
        return f"{self.name} tracker in {self.folder}, {len(self._load())} records"

    def shown(self, code: str, fields: Mapping[str, Value]) -> dict[str, Value]:
        return dict(fields)

    def read(self, codes: Collection[str] | None = None) -> dict[str, Found]:
        found: dict[str, Found] = {}
        for row in self._load():
            code = row.get("code")
            if not isinstance(code, str) or (codes is not None and code not in codes):
                continue
            if code in found:
                found[code] = Found(code, found[code].copies + 1, {})
            else:
                found[code] = Found(code, 1, {k: v for k, v in row.items() if k != "code"})
        return found

    def write(self, changes: Sequence[Change]) -> None:
        with self._locked():
            rows = self._load()
            now = self.read([c.code for c in changes])
            for change in changes:
                if not _unchanged(change.found, now.get(change.code)):
                    raise Uncertain(f"record {change.code} was changed since it was read")
                if change.found is None:
                    rows.append({"code": change.code, **change.fields})
                else:
                    next(r for r in rows if r.get("code") == change.code).update(change.fields)
            self._save(rows)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    @abstractmethod
    def _load(self) -> list[Row]:
        """All records; a missing file holds none; TrackerError for one that cannot be read."""

    @abstractmethod
    def _save(self, rows: Sequence[Row]) -> None:
        """Replace the files."""

    def _broken(self, path: Path, why: str) -> TrackerError:
        return TrackerError(f"the tracker's file cannot be read: {why}", where=str(path), fix="mend or remove it")


def _unchanged(before: Found | None, now: Found | None) -> bool:
    if before is None or now is None:
        return before is now
    names = before.fields.keys() | now.fields.keys()
    return now.copies == before.copies and all(same(before.fields.get(n), now.fields.get(n)) for n in names)

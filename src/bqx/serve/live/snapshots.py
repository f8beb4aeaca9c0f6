"""The states of a live folder: the newest few, and a lock so that one process writes them."""

from __future__ import annotations

import fcntl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from bqx.base.atomic import sweep
from bqx.base.errors import LiveError, LiveStateError
from bqx.serve.live import state as states

KEPT = 3
"""Snapshots that stay; a bar older than the oldest of them cannot be revised."""


class Snapshots:
    """Raises LiveError when another process has the folder open."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._lock = (folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise LiveError("another process runs live here", where=str(folder), fix="stop it first") from error
        sweep(folder)

    def newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("state-*.live"), key=self.minute, reverse=True)

    @staticmethod
    def minute(path: Path) -> int:
        """Of the last row it took in, by its name; the header says the same or is refused."""
        return int(path.stem.removeprefix("state-"))

    def span(self, path: Path) -> tuple[int, int]:
        """First and last minute of the stored bars it began from, by its header."""
        span = states.head_of(path).get("span")
        if not isinstance(span, list) or len(span) != 2:
            raise LiveStateError("the state does not say which bars it began from", where=str(path))
        return int(span[0]), int(span[1])

    def datasets(self, path: Path) -> list[str]:
        """Names of the datasets it is of, by its header."""
        return [key.removeprefix("dataset ") for key in states.head_of(path)["identity"] if key.startswith("dataset ")]

    def load(self, path: Path, identity: Mapping[str, str]) -> states.Saved:
        saved = states.load(path, identity)
        if saved.minute != self.minute(path):
            raise LiveStateError("the state is of another minute than its name says", where=str(path))
        return saved

    def save(
        self, minute: int, identity: Mapping[str, str], arrays: Mapping[str, NDArray[Any]], span: tuple[int, int]
    ) -> Path:
        path = self.folder / f"state-{minute}.live"
        states.save(path, minute, identity, arrays, span=span)
        for old in self.newest_first()[KEPT:]:
            old.unlink()
        return path

    def remove(self, path: Path) -> None:
        path.unlink()

    def put_aside(self, path: Path) -> None:
        """A refused state stays for people to look at, under a name that is not used again."""
        path.replace(path.with_suffix(".refused"))

    def close(self) -> None:
        self._lock.close()

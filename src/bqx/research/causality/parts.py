"""The finished parts of a run on disk: what is there is not computed again."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from bqx.base.atomic import sweep, write_text
from bqx.base.errors import CausalityStateError

Tell = Callable[[str, int, int], None]
"""Told of every finished unit: its name, how many are done, how many there are."""


class Parts:
    """JSON files of one run, each absent or complete, and each with the digest of the run it belongs to."""

    def __init__(self, folder: Path, digest: str) -> None:
        self.folder, self.digest = folder, digest
        self.seconds = 0.0
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)

    def has(self, name: str) -> bool:
        return self._path(name).is_file()

    def get(self, name: str) -> Any:
        """Raises CausalityStateError when the part is damaged or another run's."""
        path = self._path(name)
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            known, value = data["digest"], data["value"]
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise CausalityStateError(f"part {name} of the run cannot be read: {exc}", where=str(path)) from exc
        if known != self.digest:
            raise CausalityStateError(f"part {name} is of run {known}, not {self.digest}", where=str(path))
        self.seconds += float(data.get("seconds", 0.0))
        return value

    def put(self, name: str, value: Any, seconds: float) -> None:
        data = {"digest": self.digest, "seconds": round(seconds, 3), "value": value}
        write_text(self._path(name), json.dumps(data, allow_nan=False))

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def run(self, units: Mapping[str, Callable[[], Any]], workers: int, tell: Tell | None = None) -> list[Any]:
        """Values of all units in their order; those that are missing are computed by threads, each stored at once.

        A unit is a function of its inputs alone, so the number of threads changes nothing but the time.
        """
        missing = [name for name in units if not self.has(name)]
        done = len(units) - len(missing)
        if missing:
            with ThreadPoolExecutor(max_workers=max(workers, 1)) as pool:
                running = {pool.submit(self._make, name, units[name]): name for name in missing}
                try:
                    while running:
                        for future in wait(running, return_when=FIRST_COMPLETED).done:
                            name = running.pop(future)
                            future.result()
                            done += 1
                            if tell is not None:
                                tell(name, done, len(units))
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise
        return [self.get(name) for name in units]

    def _make(self, name: str, unit: Callable[[], Any]) -> None:
        began = time.thread_time()
        value = unit()
        self.put(name, value, time.thread_time() - began)

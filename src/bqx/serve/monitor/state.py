"""What the monitors remember between runs: `PROJECT/monitor/state.json`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bqx.base.atomic import write_text
from bqx.base.errors import MonitorInputError
from bqx.serve.monitor.alerts import Book
from bqx.serve.monitor.finding import Finding
from bqx.serve.monitor.service import KEEP_S, Sample

FOLDER, FILE = "monitor", "state.json"
FORMAT = 1


@dataclass
class State:
    """book : alerts and silences. waiting : messages by sink that it has not had. samples : counters of the server.

    verdicts : of sections that are judged once a trade day: key, findings, what was seen.
    """

    book: Book = field(default_factory=Book)
    waiting: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    verdicts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, root: Path) -> State:
        """An empty one where there is none; MonitorInputError for a damaged file, which is never overwritten."""
        path = root / FOLDER / FILE
        if not path.is_file():
            return cls()
        try:
            data = json.loads(path.read_text("utf-8"))
            if data["format"] != FORMAT:
                raise MonitorInputError(f"it is of format {data['format']}, not {FORMAT}", where=str(path))
            return cls(
                Book.of_dict(data["book"]), data["waiting"], [Sample(**s) for s in data["samples"]], data["verdicts"]
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise MonitorInputError(
                f"it cannot be read: {error}", where=str(path), fix="move it away; open alerts are then sent again"
            ) from error

    def write(self, root: Path) -> None:
        data = {"format": FORMAT, "book": self.book.as_dict(), "waiting": self.waiting,
                "samples": [asdict(s) for s in self.samples], "verdicts": self.verdicts}  # fmt: skip
        write_text(root / FOLDER / FILE, json.dumps(data, indent=1, allow_nan=False) + "\n")

    def sample(self, taken: Sample) -> None:
        """Keep a reading of the server's counters; one that is not newer changes nothing."""
        if not self.samples or taken.at > self.samples[-1].at:
            self.samples = [s for s in self.samples if s.at >= taken.at - KEEP_S] + [taken]

    def verdict(
        self, section: str, key: Any, judge: Callable[[], tuple[list[Finding], dict[str, Any]]]
    ) -> tuple[list[Finding], dict[str, Any]]:
        """The kept verdict while `key` (JSON values) is the same, else a new one, which is kept."""
        said = json.dumps(key)
        if self.verdicts.get(section, {}).get("key") != said:
            found, seen = judge()
            self.verdicts[section] = {"key": said, "findings": [asdict(f) for f in found], "seen": seen}
        kept = self.verdicts[section]
        return [Finding(**f) for f in kept["findings"]], kept["seen"]

"""The small sibling of `make soak CHECK=tracker-kill`: real processes, killed at chosen requests."""

from __future__ import annotations

import importlib
import random
from pathlib import Path
from typing import Any

import pytest
from benchmarks.airtable.server import FakeAirtable

soak: Any = importlib.import_module("benchmarks.soak.tracker_kill")


class Chosen(random.Random):
    """Kills as told: how, and at which request."""

    def __init__(self, how: str, at: int) -> None:
        super().__init__(1)
        self.how, self.at = how, at

    def choice(self, seq: Any) -> Any:
        return self.how

    def randint(self, a: int, b: int) -> int:
        return self.at


@pytest.mark.parametrize(("how", "at", "in_place"), [("before", 3, 0), ("after", 4, 3)])
def test_exactly_once_after_a_kill(tmp_path: Path, how: str, at: int, in_place: int) -> None:
    """Requests of the base: 1 its schema, 2 reading, 3 changing two records, 4 making one, 5 reading again."""
    with FakeAirtable() as fake:
        found = soak.trial(0, Chosen(how, at), fake, tmp_path)
    assert found["problem"] == ""
    assert (found["killed"], found["in_place"]) == (True, in_place)


EARLY = """
from bqx.ops.tracker.delivery import _Round
honest = _Round._write
def early(self, entries, changes):
    for entry in entries:
        self._settle(entry, changes[entry.id].fields, None)
    honest(self, entries, changes)
_Round._write = early
out = deliver("""


def test_a_change_that_is_lost_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: marked as delivered before it is sent."""
    planted = soak.WORKER.replace("\nout = deliver(", EARLY)
    assert planted != soak.WORKER
    monkeypatch.setattr(soak, "WORKER", planted)
    with FakeAirtable() as fake:
        found = soak.trial(0, Chosen("before", 3), fake, tmp_path)
    assert found["killed"]
    assert "the table holds" in found["problem"]

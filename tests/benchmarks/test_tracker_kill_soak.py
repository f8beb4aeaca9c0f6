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


@pytest.mark.parametrize(("how", "at", "in_place"), [("before", 1, 0), ("after", 3, 2), ("after", 4, 3)])
def test_exactly_once_after_a_kill(tmp_path: Path, how: str, at: int, in_place: int) -> None:
    """Requests of the base: 1 its schema, 2 reading, 3 changing two records, 4 making one, 5 reading again."""
    with FakeAirtable() as fake:
        found = soak.trial(0, Chosen(how, at), fake, tmp_path)
    assert found["problem"] == ""
    assert (found["killed"], found["in_place"]) == (True, in_place)


def test_a_change_that_is_sent_twice_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: a second process that makes its records without looking."""
    blind = soak.WORKER.replace(
        "out = deliver(",
        "AirtableTracker._read = lambda self, table, codes: {}\n"
        "from pyairtable.api.table import Table\n"
        "Table.batch_upsert = lambda self, new, key: {'records': self.batch_create([r['fields'] for r in new])}\n"
        "out = deliver(",
    )
    assert blind != soak.WORKER
    monkeypatch.setattr(soak, "WORKER", blind)
    monkeypatch.setattr(soak.WatchedTable, "post", lambda self, body: None, raising=False)
    with FakeAirtable() as fake:
        found = soak.trial(0, Chosen("after", 3), fake, tmp_path)
    assert found["problem"]

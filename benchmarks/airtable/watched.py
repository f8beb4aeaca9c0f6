"""A table that notes who read and wrote what, in order, so that a run can be judged afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.airtable.base import Table


@dataclass(frozen=True)
class Event:
    """call : API calls so far; who : bqx or a person; what : read, write, made, gone or option; before, after : what
    a written field held."""

    call: int
    who: str
    what: str
    record: str
    code: str | None
    field: str = ""
    before: Any = None
    after: Any = None


class WatchedTable(Table):
    """Calls of the API are bqx's; `edit`, `make` and `remove` are a person's."""

    def __init__(self, table: Table) -> None:
        super().__init__(table.name, table.fields, table.id, table.records)
        self.events: list[Event] = []
        self.calls = 0

    def page(self, query: Mapping[str, Any]) -> dict[str, Any]:
        self.calls += 1
        answer = super().page(query)
        for row in answer["records"]:
            self._note("bqx", "read", row["id"])
        return answer

    def patch(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self.calls += 1
        before = {key: dict(fields) for key, fields in self.records.items()}
        answer = super().patch(body)
        for row in answer["records"]:
            old = before.get(row["id"])
            if old is None:
                self._note("bqx", "made", row["id"])
            now = self.records[row["id"]]
            sent = next(
                r["fields"] for r in body["records"] if r.get("id") == row["id"] or r["fields"].items() <= now.items()
            )
            for name in sent:
                self._note("bqx", "write", row["id"], name, (old or {}).get(name), now[name])
        return answer

    def edit(self, record: str, name: str, value: Any) -> None:
        before = self.records[record].get(name)
        self.records[record][name] = value
        self._note("person", "write", record, name, before, value)

    def make(self, fields: Mapping[str, Any]) -> None:
        self._note("person", "made", self.add(fields))

    def remove(self, record: str) -> None:
        self._note("person", "gone", record)
        del self.records[record]

    def allow(self, name: str, choices: tuple[str, ...]) -> None:
        """Change the options of a select field."""
        self._field(name).choices = choices
        self.events.append(Event(self.calls, "person", "option", "", None, name))

    def _note(self, who: str, what: str, record: str, *more: Any) -> None:
        self.events.append(Event(self.calls, who, what, record, self.records[record].get("Stage Code"), *more))

"""One base: tables with typed fields, and what the documented calls do to them."""

from __future__ import annotations

import itertools
import string
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.airtable.formula import BadFormulaError, compile_formula

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_serial = itertools.count(1)


def new_id(kind: str) -> str:
    """An id of Airtable's form: three letters and 14 of A-Z a-z 0-9; never twice in a process."""
    number, out = next(_serial) * 2_862_933_555_777_941_757 % 62**14, ""
    for _ in range(14):
        number, digit = divmod(number, 62)
        out += _ALPHABET[digit]
    return kind + out


class RefusedError(Exception):
    """An error answer: status, type and message."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(kind)
        self.status, self.kind, self.message = status, kind, message


@dataclass
class Field:
    name: str
    type: str = "singleLineText"
    choices: tuple[str, ...] = ()
    id: str = field(default_factory=lambda: new_id("fld"))

    def as_dict(self) -> dict[str, Any]:
        out: dict[str, Any] = {"id": self.id, "name": self.name, "type": self.type}
        if self.type == "singleSelect":
            choices = [{"id": f"sel{i:014d}", "name": n, "color": "blueLight2"} for i, n in enumerate(self.choices)]
            out["options"] = {"choices": choices}
        if self.type == "number":
            out["options"] = {"precision": 2}
        return out


@dataclass
class Table:
    """records : id -> fields, in the order they were made."""

    name: str
    fields: list[Field]
    id: str = field(default_factory=lambda: new_id("tbl"))
    records: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, fields: Mapping[str, Any]) -> str:
        """A record by a person's hand."""
        key = new_id("rec")
        self.records[key] = dict(fields)
        return key

    def page(self, query: Mapping[str, Any]) -> dict[str, Any]:
        """List records: at most 100 a page, then an offset to go on from."""
        size = min(int(query.get("pageSize", 100)), 100)
        chosen = query.get("fields")
        for name in chosen or ():
            self._field(name)
        try:
            wanted = compile_formula(query["filterByFormula"]) if "filterByFormula" in query else lambda fields: True
        except BadFormulaError:
            raise RefusedError(
                422, "INVALID_FILTER_BY_FORMULA", "The formula for filtering records is invalid"
            ) from None
        keys = [key for key, fields in self.records.items() if wanted(fields)]
        start, offset = 0, query.get("offset")
        if offset is not None:
            if not offset.startswith("itr") or offset[17:] not in keys:
                raise RefusedError(422, "LIST_RECORDS_ITERATOR_NOT_AVAILABLE", "The iterator is not available any more")
            start = keys.index(offset[17:])
        rows = [self.shown(key, chosen) for key in keys[start : start + size]]
        more = keys[start + size : start + size + 1]
        return {"records": rows, **({"offset": f"{new_id('itr')}{more[0]}"} if more else {})}

    def shown(self, key: str, chosen: Sequence[str] | None = None) -> dict[str, Any]:
        """A record on the wire: empty fields are absent."""
        fields = self.records[key]
        kept = {k: v for k, v in fields.items() if v not in (None, "") and (chosen is None or k in chosen)}
        return {"id": key, "createdTime": "2026-01-01T00:00:00.000Z", "fields": kept}

    def patch(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Update or upsert up to 10 records: all of them, or none."""
        records = body["records"]
        if not 1 <= len(records) <= 10:
            raise RefusedError(422, "INVALID_RECORDS", "You can only pass up to 10 records")
        if body.get("typecast"):
            raise RefusedError(422, "INVALID_REQUEST_UNKNOWN", "this server does not typecast")
        merge = body.get("performUpsert", {}).get("fieldsToMergeOn")
        targets = [self._target(record, merge) for record in records]
        for record in records:
            for name, value in record["fields"].items():
                self._accept(self._field(name), value)
        made, changed, rows = [], [], []
        for key, record in zip(targets, records, strict=True):
            if key is None:
                key = self.add({})
                made.append(key)
            else:
                changed.append(key)
            self.records[key].update(record["fields"])
            rows.append(self.shown(key))
        return {"records": rows, **({"createdRecords": made, "updatedRecords": changed} if merge else {})}

    def _target(self, record: Mapping[str, Any], merge: Sequence[str] | None) -> str | None:
        if "id" in record:
            if record["id"] not in self.records:
                raise RefusedError(
                    422, "ROW_DOES_NOT_EXIST", f"Record ID {record['id']} does not exist in table {self.id}"
                )
            return str(record["id"])
        if not merge or not 1 <= len(merge) <= 3:
            raise RefusedError(422, "INVALID_REQUEST_MISSING_FIELDS", "id, or one to three fieldsToMergeOn")
        hits = [k for k, f in self.records.items() if all(f.get(m) == record["fields"].get(m) for m in merge)]
        if len(hits) > 1:
            raise RefusedError(422, "INVALID_REQUEST_UNKNOWN", f"Cannot upsert: more than one match, {', '.join(hits)}")
        return hits[0] if hits else None

    def _field(self, name: str) -> Field:
        found = next((f for f in self.fields if f.name == name), None)
        if found is None:
            raise RefusedError(422, "UNKNOWN_FIELD_NAME", f'Unknown field name: "{name}" in {self.id}')
        return found

    @staticmethod
    def _accept(column: Field, value: Any) -> None:
        if value is None:
            return
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if (column.type == "number") != number or column.type == "formula":
            raise RefusedError(
                422, "INVALID_VALUE_FOR_COLUMN", f'Field "{column.name}" cannot accept the provided value'
            )
        if column.type == "singleSelect" and value not in column.choices:
            message = f'Insufficient permissions to create new select option ""{value}""'
            raise RefusedError(422, "INVALID_MULTIPLE_CHOICE_OPTIONS", message)


@dataclass
class Base:
    """Tables by name, and who may do what: `permission` as the list of bases says it."""

    tables: dict[str, Table]
    permission: str = "edit"
    id: str = field(default_factory=lambda: new_id("app"))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def schema(self) -> dict[str, Any]:
        return {
            "tables": [
                {
                    "id": t.id,
                    "name": t.name,
                    "primaryFieldId": t.fields[0].id,
                    "fields": [f.as_dict() for f in t.fields],
                    "views": [],
                }
                for t in self.tables.values()
            ]
        }

    def table(self, name: str) -> Table:
        found = next((t for t in self.tables.values() if name in (t.name, t.id)), None)
        if found is None:
            raise RefusedError(403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND", "Invalid permissions, or not found")
        return found

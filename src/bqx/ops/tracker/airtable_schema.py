"""What the base says of its fields, and whether our values fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from bqx.base.errors import TrackerSchema
from bqx.ops.tracker.mapping import TableMap
from bqx.ops.tracker.outbox import Value

TEXT = frozenset({"singleLineText", "multilineText", "email", "url", "phoneNumber"})
NUMBER = frozenset({"number", "currency", "percent", "duration", "rating"})
DAY = frozenset({"date", "dateTime"})
SELECT = "singleSelect"


@dataclass(frozen=True, slots=True)
class Column:
    """A field of the base: its type, and for a single select the options it has."""

    name: str
    kind: str
    options: tuple[str, ...] = ()


def columns(table: TableMap, there: Sequence[Any]) -> dict[str, Column]:
    """The mapped fields of `table` as the base declares them; TrackerSchema for the first that does not fit."""
    schema = next((t for t in there if t.name == table.table), None)
    if schema is None:
        raise TrackerSchema(
            f"the base has no table {table.table!r}",
            where="mapping",
            fix=f"its tables: {', '.join(sorted(t.name for t in there))}",
        )
    found = {f.name: _column(f) for f in schema.fields}
    for ours, theirs in [("the key", table.key), *table.fields.items()]:
        where = f"table {table.table}, {ours} -> {theirs}"
        if theirs not in found:
            raise TrackerSchema(f"no field {theirs!r}", where=where, fix=f"its fields: {', '.join(sorted(found))}")
        kind = found[theirs].kind
        if kind not in TEXT | NUMBER | DAY | {SELECT} or (ours == "the key" and kind not in TEXT):
            raise TrackerSchema(f"field {theirs!r} is a {kind}, which cannot be written", where=where)
    for ours, words in table.values.items():
        column = found[table.fields[ours]] if ours in table.fields else None
        if column is None or column.kind != SELECT:
            raise TrackerSchema(f"values of {ours}, which is no single select", where=f"table {table.table}")
        for word, option in words.items():
            _allowed(column, option, f"table {table.table}, {ours} {word!r}")
    return {theirs: found[theirs] for theirs in [table.key, *table.fields.values()]}


def held(column: Column, value: object, where: str) -> Value:
    """`value` as the field will show it; TrackerSchema with what is allowed when it does not fit."""
    if value in (None, ""):
        return None
    if column.kind in NUMBER:
        if isinstance(value, int | float):
            return value
        raise TrackerSchema(f"{value!r} is no number, and {column.name!r} is a {column.kind}", where=where)
    text = value if isinstance(value, str) else str(value) if isinstance(value, int) else f"{value:.12g}"
    if column.kind == SELECT:
        _allowed(column, text, where)
    if column.kind in DAY:
        return _time(column, text, where)
    if column.kind != "multilineText" and "\n" in text:
        raise TrackerSchema(f"{column.name!r} is a {column.kind}, the value has several lines", where=where)
    return text


def _time(column: Column, text: str, where: str) -> str:
    """A day, or a time in UTC with milliseconds: the form in which Airtable gives it back."""
    try:
        if column.kind == "date":
            return date.fromisoformat(text).isoformat()
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except ValueError:
        pass
    form = "2026-11-27" if column.kind == "date" else "2026-11-27T12:00:00Z"
    raise TrackerSchema(f"{text!r} is no {column.kind}", where=where, fix=f"write it like {form}")


def _allowed(column: Column, option: str, where: str) -> None:
    if option not in column.options:
        raise TrackerSchema(
            f"{column.name!r} has no option {option!r}",
            where=where,
            fix=f"allowed: {', '.join(column.options)}; correct the mapping, or add the option in Airtable",
        )


def _column(field: Any) -> Column:
    kind, options = str(getattr(field.type, "value", field.type)), getattr(field, "options", None)
    return Column(field.name, kind, tuple(c.name for c in options.choices) if kind == SELECT and options else ())

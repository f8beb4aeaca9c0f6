"""The mapping file: which table takes a code, what its fields are called there, which words its options are."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from bqx.base.errors import TrackerSchema
from bqx.base.toml_lines import key_lines

BUILT_IN = Path(__file__).with_name("mapping.toml")
_Name = Annotated[str, Field(min_length=1, max_length=200)]


class TableMap(BaseModel):
    """One table. table, key : as Airtable calls them; prefix : stands before our code in the key field.

    codes : the codes that live in this table, a regular expression for the whole code. fields : ours -> theirs.
    ignore : ours that are not sent. values : field of ours -> word of ours -> option of theirs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: _Name
    key: _Name
    prefix: str = ""
    codes: _Name = ".+"
    fields: Mapping[str, _Name]
    ignore: tuple[str, ...] = ()
    values: Mapping[str, Mapping[str, str]] = {}

    @field_validator("codes")
    @classmethod
    def _pattern(cls, text: str) -> str:
        try:
            re.compile(text)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return text

    @field_validator("fields")
    @classmethod
    def _one_each(cls, fields: Mapping[str, str]) -> Mapping[str, str]:
        twice = sorted({theirs for theirs in fields.values() if list(fields.values()).count(theirs) > 1})
        if twice:
            raise ValueError(f"two of our fields go to {', '.join(twice)}")
        return fields

    def takes(self, code: str) -> bool:
        """Whether `code` lives in this table."""
        return re.fullmatch(self.codes, code) is not None

    def word(self, name: str, value: object, where: str) -> object:
        """Our word as their option; TrackerSchema for one that the mapping does not know."""
        words = self.values.get(name)
        if words is None or value in (None, ""):
            return value
        if str(value) not in words:
            raise TrackerSchema(
                f"{name} {value!r} has no option in the mapping",
                where=where,
                fix=f"add it; known: {', '.join(sorted(words))}",
            )
        return words[str(value)]


class TrackerMap:
    """All tables of a mapping file, by the names of its sections ``[tables.<name>]``."""

    def __init__(self, tables: Mapping[str, TableMap], where: str) -> None:
        self.tables, self.where = tables, where

    @classmethod
    def load(cls, path: Path | None = None) -> TrackerMap:
        """The mapping at `path`, or the one that ships; TrackerSchema names the line that is wrong."""
        path = BUILT_IN if path is None else Path(path)
        try:
            text = path.read_text(encoding="utf-8")
            data = tomllib.loads(text)
        except (OSError, ValueError) as error:
            raise TrackerSchema(f"the mapping file cannot be read: {error}", where=str(path)) from None
        lines, tables = key_lines(text), data.get("tables")
        if not isinstance(tables, dict) or not tables or set(data) != {"tables"}:
            raise TrackerSchema("a mapping file holds [tables.<name>] sections and nothing else", where=str(path))
        found = {}
        for name, table in tables.items():
            try:
                found[name] = TableMap.model_validate(table)
            except ValidationError as error:
                first = error.errors(include_url=False)[0]
                key = ".".join(["tables", name, *(str(p) for p in first["loc"])])
                line = next((lines[k] for k in _shorter(key) if k in lines), 1)
                raise TrackerSchema(
                    f"{key}: {first['msg'].removeprefix('Value error, ')}", where=f"{path}:{line}"
                ) from None
        return cls(found, str(path))

    def table_of(self, code: str) -> TableMap:
        """The one table that takes `code`; TrackerSchema when none or several do."""
        takers = [name for name, table in self.tables.items() if table.takes(code)]
        if len(takers) != 1:
            raise TrackerSchema(
                f"code {code} belongs to {' and '.join(takers) or 'no table'} of the mapping",
                where=self.where,
                fix="make the `codes` patterns tell the tables apart",
            )
        return self.tables[takers[0]]


def _shorter(key: str) -> list[str]:
    parts = key.split(".")
    return [".".join(parts[:k]) for k in range(len(parts), 0, -1)]

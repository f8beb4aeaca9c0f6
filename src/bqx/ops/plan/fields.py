"""Typed access to a YAML mapping; every refusal says which file and key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from bqx.base.errors import PlanError

T = TypeVar("T")
_NEEDED = object()


def document(text: str, where: str) -> Mapping[str, Any]:
    """The mapping that a YAML text holds; PlanError for anything else."""
    import yaml  # type: ignore[import-untyped]

    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise PlanError(f"not YAML: {' '.join(str(error).split())}", where=where) from error
    if not isinstance(data, dict):
        raise PlanError("the file is no mapping", where=where, fix="see docs/stages.md for its keys")
    return data


class Fields:
    """A mapping whose keys are asked for once each; `done` refuses those nobody asked for."""

    def __init__(self, raw: Mapping[str, Any], where: str) -> None:
        self.raw, self.where = raw, where
        self._asked: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self.raw

    @property
    def names(self) -> list[str]:
        self._asked.update(self.raw)
        return list(self.raw)

    def get(self, key: str, kind: type[T], default: object = _NEEDED) -> T:
        """The value of a key; PlanError when it is missing or of another type."""
        self._asked.add(key)
        if key not in self.raw and default is not _NEEDED:
            return default  # type: ignore[return-value]
        found = self.raw.get(key)
        if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
            said = "is missing" if key not in self.raw else f"is {found!r}"
            raise PlanError(f"{key!r} {said}, not a {kind.__name__}", where=self.where)
        return found

    def text(self, key: str, default: object = _NEEDED) -> str:
        return self.get(key, str, default)

    def number(self, key: str) -> float:
        found: float = self.get(key, (int, float))  # type: ignore[arg-type]
        return found

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, empty where the key is missing; one text is a list of one."""
        found: list[Any] = [self.raw[key]] if isinstance(self.raw.get(key), str) else self.get(key, list, [])
        self._asked.add(key)
        if bad := [item for item in found if not isinstance(item, str)]:
            raise PlanError(f"{key!r} holds {bad[0]!r}, not a text", where=self.where, fix="put it in quotes")
        return tuple(found)

    def map(self, key: str) -> Fields:
        return Fields(self.get(key, dict), f"{self.where}, {key}")

    def list(self, key: str) -> list[Fields]:
        rows = self.get(key, list)
        for number, row in enumerate(rows, start=1):
            if not isinstance(row, dict):
                raise PlanError(f"entry {number} of {key!r} is no mapping", where=self.where)
        return [Fields(row, f"{self.where}, {key} {row.get('id', n)}") for n, row in enumerate(rows, start=1)]

    def done(self) -> None:
        """Raise PlanError for a key that means nothing here."""
        if unknown := sorted(set(self.raw) - self._asked):
            raise PlanError(f"unknown key {unknown[0]!r}", where=self.where, fix="see docs/stages.md for the keys")

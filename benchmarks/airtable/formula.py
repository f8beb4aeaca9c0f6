"""The part of Airtable's formula language that a look-up by key needs: OR({Field}='text', ...)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

_FIELD = r"\{((?:\\.|[^}\\])*)\}"
_TEXT = r"'((?:\\.|[^'\\])*)'|\"((?:\\.|[^\"\\])*)\""
_EQUAL = re.compile(rf"\s*{_FIELD}\s*=\s*(?:{_TEXT})\s*")


class BadFormulaError(Exception):
    """What the server answers INVALID_FILTER_BY_FORMULA to."""


def compile_formula(text: str) -> Callable[[Mapping[str, Any]], bool]:
    """The condition as a function of a record's fields; text is compared exactly."""
    inner = re.fullmatch(r"\s*OR\((.*)\)\s*", text, re.DOTALL)
    rest, found = (inner.group(1) if inner else text), []
    while rest:
        part = _EQUAL.match(rest)
        if part is None:
            raise BadFormulaError(text)
        value = part.group(2) if part.group(2) is not None else part.group(3)
        found.append((_plain(part.group(1)), _plain(value)))
        rest = rest[part.end() :]
        if rest and not rest.startswith(","):
            raise BadFormulaError(text)
        rest = rest[1:]
    if not found:
        raise BadFormulaError(text)
    return lambda fields: any(fields.get(name) == value for name, value in found)


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)

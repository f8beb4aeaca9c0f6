"""Patterns of names: `{family}_features_{pair}[_{month}]`, read into an anchored expression and written back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property

_TOKEN = re.compile(r"\{(?P<place>[a-z][a-z0-9_]*)\}|(?P<mark>[\[\]])|(?P<text>[^\[\]{}]+)")
ANY = r".+?"
"""What a place may hold that nobody described: as little as fits."""


class Pattern:
    """Text with places in braces; one part in brackets may be absent, then none of its places has a value.

    places : place -> regular expression of what it may hold. ValueError says what is wrong with the text.

    >>> p = Pattern("{family}_features_{pair}[_{month}]", {"family": "bollinger|statistics", "pair": "[a-z]{6}"})
    >>> p.match("bollinger_features_eurusd")
    {'family': 'bollinger', 'pair': 'eurusd'}
    >>> Pattern("{family}_rate_{pair}[_{month}]", {}).render({"family": "bollinger", "pair": "eurusd"})
    'bollinger_rate_eurusd'
    """

    def __init__(self, text: str, places: Mapping[str, str]) -> None:
        self.text = text
        self._tokens = _tokens(text)
        self._places = dict(places)
        self.names = tuple(value for kind, value in self._tokens if kind == "place")
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"a place stands twice in {text!r}")

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """Anchored by `fullmatch`; one named group a place."""
        out = ""
        for kind, value in self._tokens:
            if kind == "place":
                out += f"(?P<{value}>{self._places.get(value, ANY)})"
            else:
                out += {"[": "(?:", "]": ")?"}[value] if kind == "mark" else re.escape(value)
        return re.compile(out)

    def match(self, name: str) -> dict[str, str] | None:
        """Values of the places when `name` is wholly of this pattern."""
        found = self.regex.fullmatch(name)
        return None if found is None else {k: v for k, v in found.groupdict().items() if v is not None}

    def render(self, values: Mapping[str, str]) -> str:
        """The name with these values; the bracketed part when all of its places have one."""
        out, kept = "", True
        for i, (kind, value) in enumerate(self._tokens):
            if kind == "mark":
                kept = value == "]" or self._inside(i) <= values.keys()
            elif kept:
                out += value if kind == "text" else values[value]
        return out

    def _inside(self, opening: int) -> set[str]:
        closing = self._tokens.index(("mark", "]"), opening)
        return {value for kind, value in self._tokens[opening:closing] if kind == "place"}

    @cached_property
    def head(self) -> str | None:
        """Expression of the beginning up to the text after the first place: what strays of this kind begin with."""
        kinds = [kind for kind, _ in self._tokens]
        if "place" not in kinds:
            return None
        end = kinds.index("place") + 1
        if end >= len(kinds) or kinds[end] != "text":
            return None
        part = Pattern("".join(_shown(*t) for t in self._tokens[: end + 1]), self._places)
        return re.sub(r"\(\?P<[a-z0-9_]+>", "(?:", part.regex.pattern)


def _shown(kind: str, value: str) -> str:
    return f"{{{value}}}" if kind == "place" else value


def _tokens(text: str) -> list[tuple[str, str]]:
    out: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError(f"{text!r} cannot be read at character {at + 1}: {text[at:]!r}")
        out.append((str(found.lastgroup), found[0] if found.lastgroup != "place" else found["place"]))
        at = found.end()
    marks = "".join(value for kind, value in out if kind == "mark")
    if marks not in ("", "[]"):
        raise ValueError(f"{text!r} must have one pair of brackets at most, not {marks!r}")
    if not out:
        raise ValueError("a pattern cannot be empty")
    opening = text.find("[")
    if marks and "{" not in text[opening : text.index("]")]:
        raise ValueError(f"the bracketed part of {text!r} needs a place, else nothing says whether it is there")
    return out

"""Walk a JSON file too large for memory: objects member by member, values parsed or passed over, with limits.

The file is not trusted: depth, length of a value and length of a key are bounded, and what is no JSON raises
PriceListError with the byte it was found at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from bqx.base.errors import PriceListError

CHUNK = 1 << 20
MOST_VALUE, MOST_TEXT, MOST_KEY, MOST_DEPTH = 4 << 20, 1 << 20, 4096, 32
_SPACE = re.compile(rb"[ \t\r\n]*")
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.S)
_MARK = re.compile(rb'["{}\[\]]')
_SCALAR = re.compile(rb"[^,}\]\s]+")


class JsonStream:
    """A file that is read forwards once. Use as a context manager; the walk begins before the outermost value."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("rb")
        self._held, self._at, self._before, self._depth = b"", 0, 0, 0

    def __enter__(self) -> JsonStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def members(self) -> Iterator[str]:
        """Keys of the object that comes next; after each the caller takes its value: `value`, `skip` or `members`."""
        self._depth += 1
        if self._depth > MOST_DEPTH:
            self._refuse(f"objects within objects deeper than {MOST_DEPTH}")
        self._take(b"{")
        if self._peek() == b"}":
            self._take(b"}")
            self._depth -= 1
            return
        while True:
            self._peek()
            key = self._parsed(self._text(_STRING, MOST_KEY, "a key"))
            self._take(b":")
            yield key
            if self._peek() == b",":
                self._take(b",")
                continue
            self._take(b"}")
            self._depth -= 1
            return

    def value(self) -> Any:
        """The value that comes next, parsed; numbers are Decimal."""
        return self._parsed(self._whole())

    def skip(self) -> None:
        """Pass over the value that comes next."""
        self._whole(keep=False)

    def _whole(self, keep: bool = True) -> bytes:
        """Bytes of the next value; with `keep` false they may be of any length and are thrown away."""
        first = self._peek()
        if first == b'"':
            return self._text(_STRING, MOST_TEXT, "a text")
        if first not in (b"{", b"["):
            return self._text(_SCALAR, MOST_KEY, "a number or word")
        parts: list[bytes] = []
        taken = depth = 0
        while True:
            found = _MARK.search(self._held, self._at)
            mark = found.group() if found else b""
            end = len(self._held) if found is None else found.start() if mark == b'"' else found.end()
            piece, self._at = self._held[self._at : end], end
            if mark == b'"':
                piece += self._text(_STRING, MOST_TEXT, "a text")
            elif mark:
                depth += 1 if mark in b"{[" else -1
                if depth > MOST_DEPTH:
                    self._refuse(f"values within values deeper than {MOST_DEPTH}")
            if keep:
                parts.append(piece)
                taken += len(piece)
                if taken > MOST_VALUE:
                    self._refuse(f"a value of more than {MOST_VALUE:,} bytes")
            if mark and depth == 0:
                return b"".join(parts)
            if not mark and not self._more():
                self._refuse("the file ends within a value")

    def _text(self, form: re.Pattern[bytes], most: int, what: str) -> bytes:
        """Bytes of the token at the present place, wholly in the buffer."""
        while True:
            found = form.match(self._held, self._at)
            if found is not None and (form is _STRING or found.end() < len(self._held)):
                break
            if len(self._held) - self._at > most:
                self._refuse(f"{what} of more than {most:,} bytes")
            if self._more():
                continue
            found = form.match(self._held, self._at)
            if found is None:
                self._refuse(f"{what} is expected, or does not end")
            break
        if found.end() - self._at > most:
            self._refuse(f"{what} of more than {most:,} bytes")
        self._at = found.end()
        return found.group()

    def _parsed(self, text: bytes) -> Any:
        try:
            return json.loads(text, parse_float=Decimal)
        except (ValueError, RecursionError) as error:
            self._refuse(f"not JSON: {error}")

    def _peek(self) -> bytes:
        """The next byte that is no space; empty at the end."""
        while True:
            space = _SPACE.match(self._held, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._held):
                return self._held[self._at : self._at + 1]
            if not self._more():
                return b""

    def _take(self, wanted: bytes) -> None:
        found = self._peek()
        if found != wanted:
            self._refuse(f"{wanted.decode()!r} is expected, there is {found.decode('latin-1') or 'the end'!r}")
        self._at += 1

    def _more(self) -> bool:
        """Throw away what was read and read on; False at the end."""
        self._before += self._at
        self._held, self._at = self._held[self._at :], 0
        more = self._file.read(CHUNK)
        self._held += more
        return bool(more)

    def _refuse(self, what: str) -> NoReturn:
        raise PriceListError(what, where=f"{self.path.name}, byte {self._before + self._at:,}")

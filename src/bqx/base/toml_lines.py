"""Line numbers of the keys of a TOML text; the standard parser keeps none."""

from __future__ import annotations

import re
import tomllib

_HEADER = re.compile(r"^\s*\[\[?\s*([A-Za-z0-9_.\-\"' ]+?)\s*\]\]?\s*(?:#.*)?$")
_ASSIGN = re.compile(r"^\s*([A-Za-z0-9_.\-\"' ]+?)\s*=")


def key_lines(text: str) -> dict[str, int]:
    """``{"store.codec": 7, "store": 6}``: first line (from 1) of each table and key.

    `text` must be valid TOML. Keys inside an inline table get the line of the table.
    """
    lines: dict[str, int] = {}
    prefix: list[str] = []
    pending: list[str] = []  # an assignment that goes on over several lines
    for number, line in enumerate(text.splitlines(), start=1):
        if pending:
            pending.append(line)
        elif header := _HEADER.match(line):
            prefix = _parts(header.group(1))
            lines.setdefault(".".join(prefix), number)
            continue
        elif assign := _ASSIGN.match(line):
            pending = [line]
            path = prefix + _parts(assign.group(1))
            for depth in range(1, len(path) + 1):
                lines.setdefault(".".join(path[:depth]), number)
        if pending:
            try:
                _note_inline(tomllib.loads("\n".join(pending)), prefix, number - len(pending) + 1, lines)
            except tomllib.TOMLDecodeError:
                continue
            pending = []
    return lines


def _note_inline(table: dict[str, object], prefix: list[str], number: int, lines: dict[str, int]) -> None:
    for key, value in table.items():
        path = [*prefix, key]
        lines.setdefault(".".join(path), number)
        if isinstance(value, dict):
            _note_inline(value, path, number, lines)


def _parts(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]

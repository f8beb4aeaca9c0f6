"""Keeps secrets out of logs, errors and reports: by key, by pattern, by registered value."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

MASK = "***"
MIN_REGISTERED = 4  # shorter values would mask half of any text

_WORD = r"(?:passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential)"
_KEY = re.compile(
    rf"{_WORD}|^authorization$|^cookie$|^set-cookie$|^dsn$", re.IGNORECASE
)  # `secret_name`, `token_count` are masked too: a masked name costs less than a shown value

# Values with a shape of their own: whatever the text around, they are secrets.
SHAPES: dict[str, re.Pattern[str]] = {
    "airtable-token": re.compile(r"\bpat[A-Za-z0-9]{14}\.[0-9a-f]{64}"),
    "aws-key-id": re.compile(r"\b(?:A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA)[0-9A-Z]{16}\b"),
    "github-token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{22,})"),
    "slack-token": re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    "jwt": re.compile(r"\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{5,}"),
    "airtable-id": re.compile(r"\b(?:app|tbl|rec|fld|viw|usr|sel)(?=[a-z]*[A-Z0-9])[A-Za-z0-9]{14}\b"),
    "bqx-api-key": re.compile(r"\bbqxk_[0-9a-f]{12}_[A-Za-z0-9_-]{20,}"),
    "private-key": re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END[^-]*-----|\Z)", re.DOTALL),
}
# Values known by what stands before them; group 1 is kept.
_URL_PASSWORD = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s:/@\"'\\]{0,256}:)[^\s\"'\\]{1,512}@")
_AUTH_HEADER = re.compile(
    r"((?:authorization\\?[\"']?\s*[:=]\s*\\?[\"']?)(?:basic|bearer|token)?\s*)[^\s\"'\\,;]+", re.I
)
_BEARER = re.compile(r"(\bbearer\s+)[A-Za-z0-9._~+/=-]{16,}", re.I)
_QUOTED = rf"({_WORD}[\w-]{{0,40}}\\?[\"']?\s*[:=]\s*(\\?[\"']))(?:(?!\2)(?:\\.|[^\\\n])){{1,4096}}(?:\2)?"
_ASSIGNED_QUOTED = re.compile(_QUOTED, re.IGNORECASE)  # an open quote masks the rest of the line
_ASSIGNED = re.compile(rf"({_WORD}[\w-]{{0,40}}\s*[:=]\s*)(?!\\?[\"'])\S+", re.IGNORECASE)

_values: set[str] = set()
_compiled: re.Pattern[str] | None = None
_lock = threading.Lock()


def register(value: str) -> None:
    """Mask `value` from now on wherever it appears, also JSON-escaped and URL-quoted."""
    global _compiled
    if len(value) < MIN_REGISTERED:
        return
    forms = {value, json.dumps(value)[1:-1], quote(value, safe="")}
    forms |= {line.strip() for line in value.splitlines() if len(line.strip()) >= 16}
    with _lock:
        if forms <= _values:
            return
        _values.update(forms)
        longest_first = sorted(_values, key=len, reverse=True)
        _compiled = re.compile("|".join(re.escape(v) for v in longest_first))


def redact(text: str) -> str:
    """`text` with everything that is or looks like a secret replaced by a mask.

    A JSON document is walked by structure and stays JSON; in other text more is masked rather than less.
    """
    if text.lstrip()[:1] in ("{", "["):
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            pass
        else:
            clean = scrub(data)
            return text if clean == data else json.dumps(clean)
    if _compiled is not None:
        text = _compiled.sub(MASK, text)
    for shape in SHAPES.values():
        text = shape.sub(MASK, text)
    text = _URL_PASSWORD.sub(rf"\g<1>{MASK}@", text)
    text = _AUTH_HEADER.sub(rf"\g<1>{MASK}", text)
    text = _BEARER.sub(rf"\g<1>{MASK}", text)
    text = _ASSIGNED_QUOTED.sub(rf"\g<1>{MASK}\g<2>", text)
    return _ASSIGNED.sub(rf"\g<1>{MASK}", text)


def scrub(data: Any, *, depth: int = 12) -> Any:
    """`data` (JSON-like) with values under secret-sounding keys dropped, all other strings redacted.

    Mappings, lists, tuples and sets are walked; other objects become their redacted ``str``.
    """
    if data is None or isinstance(data, bool | int | float):
        return data
    if isinstance(data, str):
        return redact(data)
    if depth == 0:
        return MASK
    if isinstance(data, Mapping):
        return {
            redact(str(k)): MASK if _KEY.search(str(k)) and v is not None else scrub(v, depth=depth - 1)
            for k, v in data.items()
        }
    if isinstance(data, list | tuple | set | frozenset):
        return [scrub(v, depth=depth - 1) for v in data]
    return redact(str(data))


def leaks(text: str) -> list[str]:
    """Names of the rules by which `text` still shows a secret; empty when clean. For fail-closed output."""
    found = [name for name, shape in SHAPES.items() if shape.search(text)]
    if _compiled is not None and _compiled.search(text):
        found.append("registered-value")
    found += ["url-password" for hit in _URL_PASSWORD.finditer(text) if not hit.group().endswith(f":{MASK}@")][:1]
    return found

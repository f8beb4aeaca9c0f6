"""Finds secrets in lines of text with detect-secrets and our plugins; each distinct line is looked at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.filters import heuristic
from detect_secrets.plugins.base import BasePlugin
from detect_secrets.plugins.high_entropy_strings import HexHighEntropyString, HighEntropyStringsPlugin
from detect_secrets.plugins.ip_public import IPPublicDetector
from detect_secrets.plugins.keyword import (
    DENYLIST,
    QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP,
    REGEX_BY_FILETYPE,
    KeywordDetector,
)
from detect_secrets.util.filetype import determine_file_type

from bqx.ops.secretscan_plugins import OURS

_MIN_LINE = 8
_MAX_LINE = 4_096  # longer lines are cut into overlapping pieces, for some expressions are quadratic
_OVERLAP = 512
_MIN_LITERAL = 4  # a value with fewer characters outside its templates is none
_LOCK = re.compile(
    r"(?:\.lock|\.sum|-lock\.json|\.lockb|\.lock\.txt|(?:^|/)SHA\d+SUMS|\.sha\d+)$|(?:^|/)requirements[^/]*\.txt$"
)
_CREDENTIAL = re.compile(r"passw|pwd|secret|token|api|auth|cred|\bkey|_key|key_", re.IGNORECASE)
_PROSE = re.compile(r"[A-Z][A-Za-z]*(?:[ ,;:.'/()-]+[A-Za-z]+)+[.!?:]?")
_KEYWORD = re.compile("|".join(DENYLIST), re.IGNORECASE)
_TEMPLATE = re.compile(r"\{[A-Za-z_][\w.]*\}|<[A-Za-z_ -]+>")
_PLACEHOLDER = re.compile(
    r"<[^>]*>|\$?\{[^}]*\}?|\$\w+|%\(?\w+\)?s?|\*+|\.{2,}|\[[^\]]*\]|[xX]{3,}|None|null|true|false", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Hit:
    """A possible secret in a line; `value` must not leave the scanner."""

    rule: str
    value: str


class LineScanner:
    """Applies every detector to a line.

    Entropy detectors are off for lock files, whose lines are hashes. Hex counts only beside a credential
    word, for checksums look the same. A capitalised phrase assigned to a secret-sounding name is taken for
    prose. Public IP addresses are no secret. Inline `allowlist` comments of detect-secrets are not honoured.
    """

    def __init__(self) -> None:
        builtin: list[Any] = list(get_mapping_from_secret_type_to_class().values())
        made: list[BasePlugin] = [cls() for cls in [*builtin, *OURS] if cls is not IPPublicDetector]
        self._generic = [p for p in made if isinstance(p, KeywordDetector | HighEntropyStringsPlugin)]
        self._specific = [p for p in made if p not in self._generic]
        self._seen: dict[tuple[bool, int], dict[str, tuple[Hit, ...]]] = {}

    def scan(self, text: str, path: str) -> list[tuple[int, Hit]]:
        """All hits in `text` with their line numbers from 1."""
        entropy = not _LOCK.search(path)
        keywords = REGEX_BY_FILETYPE.get(determine_file_type(path), QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP)
        seen = self._seen.setdefault((entropy, id(keywords)), {})
        found: list[tuple[int, Hit]] = []
        for number, line in enumerate(text.splitlines(), start=1):
            if len(line) < _MIN_LINE:
                continue
            hits = seen.get(line)
            if hits is None:
                hits = seen[line] = tuple(
                    dict.fromkeys(h for piece in _pieces(line) for h in self._line(piece, path, entropy, keywords))
                )
            found += [(number, hit) for hit in hits]
        return found

    def _line(self, line: str, path: str, entropy: bool, keywords: Any) -> list[Hit]:
        hits = [
            Hit(plugin.secret_type, value)
            for plugin in self._specific
            for value in plugin.analyze_string(line)
            if not is_placeholder(value)
        ]
        known = {hit.value for hit in hits}
        for plugin in self._generic:
            for value in _generic_values(plugin, line, entropy, keywords):
                if value not in known and not any(value in k or k in value for k in known):
                    known.add(value)
                    hits.append(Hit(plugin.secret_type, value))
        return hits


def _generic_values(plugin: BasePlugin, line: str, entropy: bool, keywords: Any) -> list[str]:
    """What the keyword and entropy detectors find, less what detect-secrets' own filters take for noise."""
    if isinstance(plugin, KeywordDetector):
        if not _KEYWORD.search(line):
            return []
        values = list(plugin.analyze_string(line, keywords))
        if values and heuristic.is_indirect_reference(line):
            return []
    elif isinstance(plugin, HighEntropyStringsPlugin) and entropy:
        values = [v for v in plugin.analyze_string(line) if plugin.calculate_shannon_entropy(v) > plugin.entropy_limit]
        if isinstance(plugin, HexHighEntropyString) and not _CREDENTIAL.search(line):
            values = []
    else:
        return []
    return [value for value in values if not _is_noise(value, line, plugin)]


def _is_noise(value: str, line: str, plugin: BasePlugin) -> bool:
    return (
        is_placeholder(value)
        or bool(_PROSE.fullmatch(value.strip()))
        or heuristic.is_templated_secret(value)
        or heuristic.is_not_alphanumeric_string(value)
        or heuristic.is_sequential_string(value)
        or heuristic.is_potential_uuid(value)
        or heuristic.is_prefixed_with_dollar_sign(value)
        or heuristic.is_likely_id_string(value, line, plugin)
    )


def is_placeholder(value: str) -> bool:
    """Whether `value` is a template (``<password>``, ``{pw}``, ``$PW``, ``%s``) with hardly anything beside."""
    bare = value.strip()
    left = _TEMPLATE.sub("", bare)
    return bool(_PLACEHOLDER.fullmatch(bare)) or (left != bare and len(left) < _MIN_LITERAL)


def _pieces(line: str) -> list[str]:
    if len(line) <= _MAX_LINE:
        return [line]
    return [line[i : i + _MAX_LINE] for i in range(0, len(line), _MAX_LINE - _OVERLAP)]

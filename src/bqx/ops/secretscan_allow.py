"""``.secrets-allow.toml``: findings excused for a stated reason until a stated day."""

from __future__ import annotations

import datetime as dt
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from bqx.base.errors import ConfigError

ALLOW_NAME = ".secrets-allow.toml"
_KEYS = frozenset({"rule", "path", "fingerprint", "reason", "expires"})
_LONGEST = dt.timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Excuse:
    """One entry: `path` is a glob; an entry names a fingerprint, or both a rule and a path."""

    reason: str
    expires: dt.date
    rule: str | None
    path: str | None
    fingerprint: str | None

    def covers(self, rule: str, path: str, fingerprint: str) -> bool:
        """Whether a finding is meant."""
        return (
            self.rule in (None, rule)
            and self.fingerprint in (None, fingerprint)
            and (self.path is None or fnmatchcase(path, self.path))
        )


@dataclass(frozen=True, slots=True)
class Allowlist:
    """The entries and the salt that fingerprints are made with."""

    entries: tuple[Excuse, ...] = ()
    salt: str = "bqx"


def load_allowlist(folder: Path, today: dt.date) -> Allowlist:
    """Read the list of `folder`, empty without a file; ConfigError for entries without reason or near date."""
    path = folder / ALLOW_NAME
    if not path.is_file():
        return Allowlist()
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"not valid TOML: {error}", where=str(path)) from error
    unknown = set(data) - {"salt", "allow"}
    if unknown:
        raise ConfigError(f"unknown keys {', '.join(sorted(unknown))}", where=str(path), fix="known: salt, allow")
    entries = data.get("allow", [])
    if not isinstance(entries, list) or not isinstance(data.get("salt", ""), str):
        raise ConfigError("allow must be [[allow]] tables and salt a string", where=str(path))
    checked = tuple(_entry(raw, f"{path}, entry {i}", today) for i, raw in enumerate(entries, start=1))
    return Allowlist(checked, data.get("salt", "bqx"))


def _entry(raw: Any, where: str, today: dt.date) -> Excuse:
    if not isinstance(raw, dict) or set(raw) - _KEYS:
        raise ConfigError("an entry has unknown keys", where=where, fix=f"known: {', '.join(sorted(_KEYS))}")
    words = {key: raw.get(key) for key in ("rule", "path", "fingerprint", "reason")}
    if any(value is not None and (not isinstance(value, str) or not value.strip()) for value in words.values()):
        raise ConfigError("rule, path, fingerprint and reason must be text", where=where)
    if words["reason"] is None:
        raise ConfigError("an entry without a reason", where=where, fix="say why this is no secret")
    expires = raw.get("expires")
    if not isinstance(expires, dt.date) or isinstance(expires, dt.datetime):
        raise ConfigError("an entry without an expiry day", where=where, fix="add expires = 2027-01-31")
    if expires > today + _LONGEST:
        raise ConfigError(f"expires {expires}, more than a year ahead", where=where, fix="choose a nearer day")
    if words["fingerprint"] is None and (words["rule"] is None or words["path"] is None):
        raise ConfigError("an entry too wide", where=where, fix="give a fingerprint, or both rule and path")
    return Excuse(str(words["reason"]), expires, words["rule"], words["path"], words["fingerprint"])

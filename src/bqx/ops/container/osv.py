"""Known vulnerabilities from a file in the OSV format (ossf.github.io/osv-schema), and which packages they are of."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from bqx.base.errors import AuditError
from bqx.ops.container.locked import Pin

MOST_BYTES = 512 << 20
"""Of a database, unpacked; that of one ecosystem has about 100 MB."""
MOST_ENTRY = 8 << 20


@dataclass(frozen=True)
class Known:
    """A vulnerability of a package that is in the lock. certain : False when its ranges could not be compared."""

    id: str
    package: str
    version: str
    summary: str
    certain: bool


@dataclass(frozen=True)
class Database:
    """What was read: how many entries, when the newest was changed, and those that concern the pins."""

    entries: int
    newest: str
    hits: tuple[Known, ...]


def look_up(path: Path, pins: Sequence[Pin]) -> Database:
    """Entries of `path` (a JSON object or list, JSON lines, or a zip of JSON files) that are of a pinned version.

    AuditError names what is not OSV: an audit that skipped what it could not read would call it safe. Withdrawn entries
    do not count.
    """
    by_key = {p.key: p for p in pins}
    count, newest, hits = 0, "", []
    for where, entry in _entries(path):
        count += 1
        ident, modified = _text(entry, "id", where), _text(entry, "modified", where)
        newest = max(newest, modified)
        if entry.get("withdrawn"):
            continue
        affected = entry.get("affected", [])
        if not isinstance(affected, list) or not all(isinstance(a, dict) for a in affected):
            raise AuditError("`affected` is no list of objects", where=where)
        for part in affected:
            package = part.get("package")
            if not isinstance(package, dict) or package.get("ecosystem") != "PyPI":
                continue
            pin = by_key.get(str(canonicalize_name(str(package.get("name", "")))))
            if pin is not None and (state := _affects(part, pin.version, where)) is not None:
                summary = str(entry.get("summary") or entry.get("details") or "")[:120]
                hits.append(Known(ident, pin.key, pin.version, summary, state))
    if not count:
        raise AuditError("the database is empty", where=str(path))
    best: dict[tuple[str, str], Known] = {}
    for hit in hits:
        if (key := (hit.package, hit.id)) not in best or hit.certain:
            best[key] = hit
    return Database(count, newest, tuple(best[key] for key in sorted(best)))


def age_in_days(newest: str, now: datetime | None = None) -> float:
    """Of the newest entry; AuditError when it is no time."""
    try:
        when = datetime.fromisoformat(newest)
    except ValueError as error:
        raise AuditError(f"{newest!r} is no time", where="modified") from error
    return ((now or datetime.now(UTC)) - (when if when.tzinfo else when.replace(tzinfo=UTC))).total_seconds() / 86_400


def _affects(part: dict[str, Any], version: str, where: str) -> bool | None:
    """True when the version is named or lies in a range, None when not, False when that cannot be told."""
    named = part.get("versions") or []
    ranges = part.get("ranges") or []
    if not isinstance(named, list) or not isinstance(ranges, list):
        raise AuditError("`versions` and `ranges` are lists", where=where)
    mine = Version(version)
    if any(v == version or _same(str(v), mine) for v in named):
        return True
    unknown = not named and not ranges
    for span in ranges:
        if not isinstance(span, dict) or not isinstance(span.get("events"), list):
            raise AuditError("a range has no events", where=where)
        if span.get("type") == "GIT":
            unknown = unknown or not named
            continue
        try:
            if _inside(span["events"], mine, where):
                return True
        except InvalidVersion:
            unknown = True
    return False if unknown else None


def _inside(events: list[Any], mine: Version, where: str) -> bool:
    """As the schema's evaluation says: sorted by version, `introduced` opens, `fixed` and a passed `last_affected`
    close."""
    steps = []
    for event in events:
        if not isinstance(event, dict) or len(event) != 1:
            raise AuditError("an event is an object of one key", where=where)
        [(kind, value)] = event.items()
        if kind == "limit":
            continue
        if kind not in ("introduced", "fixed", "last_affected"):
            raise AuditError(f"unknown event {kind!r}", where=where)
        steps.append((Version("0.dev0") if value == "0" else Version(str(value)), kind))
    inside = False
    for at, kind in sorted(steps, key=lambda s: (s[0], s[1] != "introduced")):
        if kind == "introduced" and mine >= at:
            inside = True
        elif (kind == "fixed" and mine >= at) or (kind == "last_affected" and mine > at):
            inside = False
    return inside


def _same(text: str, mine: Version) -> bool:
    try:
        return Version(text) == mine
    except InvalidVersion:
        return False


def _entries(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Entries with where they are."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise AuditError(f"the database has more than {MOST_BYTES >> 20} MiB", where=str(path))
        if zipfile.is_zipfile(path):
            yield from _zipped(path)
            return
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError, zipfile.BadZipFile) as error:
        raise AuditError(f"the database cannot be read: {type(error).__name__}", where=str(path)) from error
    if not text.strip():
        return
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                yield from _objects(line, f"{path.name}, line {number}")
        return
    yield from _checked(found, path.name)


def _zipped(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with zipfile.ZipFile(path) as archive:
        members = [m for m in archive.infolist() if m.filename.endswith(".json")]
        if sum(m.file_size for m in members) > MOST_BYTES or any(m.file_size > MOST_ENTRY for m in members):
            raise AuditError("the archive unpacks to more than is taken", where=str(path))
        for member in members:
            with archive.open(member) as stream:
                data = stream.read(MOST_ENTRY + 1)
            yield from _objects(data.decode("utf-8", "strict"), f"{path.name}, {member.filename[:80]}")


def _objects(text: str, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AuditError("not JSON", where=where) from error
    yield from _checked(found, where)


def _checked(found: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for k, entry in enumerate(found if isinstance(found, list) else [found]):
        if not isinstance(entry, dict):
            raise AuditError("an entry is no object", where=f"{where}, entry {k}")
        yield f"{where}, entry {k}", entry


def _text(entry: dict[str, Any], key: str, where: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        raise AuditError(f"an entry has no {key}", where=where, fix="give a file in the OSV format")
    return value

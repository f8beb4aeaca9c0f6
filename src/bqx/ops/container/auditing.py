"""The dependency audit, without a network: hashes, licences, known vulnerabilities, and excuses that end."""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from bqx.base.errors import AuditError
from bqx.ops.container.licences import licence, refused
from bqx.ops.container.locked import Pin, read_lock
from bqx.ops.container.osv import age_in_days, look_up

MOST_AGE = 30.0
"""Days since the newest entry of a database changed, after which it says nothing of today."""
MOST_EXCUSE = 366


@dataclass(frozen=True)
class Found:
    """kind : licence or vulnerability. excused : why it may be, "" when it may not."""

    kind: str
    package: str
    version: str
    what: str
    id: str = ""
    excused: str = ""


@dataclass(frozen=True)
class Audit:
    """packages : lines of the lock for the target. unseen : packages not installed here, whose licence is unknown.

    database : entries, newest and age of the file that was looked up, None when none was given.
    """

    packages: int
    hashes: int
    found: tuple[Found, ...]
    unseen: tuple[str, ...]
    database: Mapping[str, Any] | None

    @property
    def bad(self) -> tuple[Found, ...]:
        return tuple(f for f in self.found if not f.excused)

    def as_dict(self) -> dict[str, Any]:
        return {
            "ok": not self.bad and self.database is not None, "packages": self.packages, "hashes": self.hashes,
            "found": [f.__dict__ for f in self.found], "licence_unseen": list(self.unseen),
            "database": dict(self.database) if self.database else None,
        }  # fmt: skip


def audit(lock: Path, database: Path | None, excuses: Path | None = None, *, now: dt.datetime | None = None) -> Audit:
    """Look at every line of a lock; AuditError when the lock or the database cannot be used, or the latter is old.

    Without a database only hashes and licences are looked at, and the result says so: it is not `ok`.
    """
    moment = now or dt.datetime.now(dt.UTC)
    pins = [p for p in read_lock(lock) if p.on_target()]
    allowed = read_excuses(excuses, moment.date()) if excuses else {}
    found, unseen = _licences(pins)
    facts = None
    if database is not None:
        known = look_up(database, pins)
        age = age_in_days(known.newest, moment)
        if age > MOST_AGE:
            raise AuditError(f"the newest entry is {age:.0f} days old", where=str(database), fix="fetch a new database")
        facts = {"entries": known.entries, "newest": known.newest, "age_days": round(age, 1)}
        found += [
            Found(
                "vulnerability", h.package, h.version, h.summary if h.certain else f"may be affected: {h.summary}", h.id
            )
            for h in known.hits
        ]
    judged = tuple(Found(**{**f.__dict__, "excused": allowed.get((f.package, f.id or f.kind), "")}) for f in found)
    used = {(f.package, f.id or f.kind) for f in judged}
    if spare := sorted(set(allowed) - used):
        raise AuditError(
            f"the excuse of {spare[0][0]} for {spare[0][1]} excuses nothing", where=str(excuses), fix="remove it"
        )
    return Audit(len(pins), sum(len(p.hashes) for p in pins), judged, unseen, facts)


def read_excuses(path: Path, today: dt.date) -> dict[tuple[str, str], str]:
    """`[[allow]]` tables of package, id (or `licence`), reason, expires; (package, id) -> reason.

    AuditError for one without a reason, that has ended, or that lasts more than a year.
    """
    try:
        rows = tomllib.loads(path.read_text("utf-8")).get("allow", [])
    except (OSError, ValueError) as error:
        raise AuditError("the excuses cannot be read as TOML", where=str(path)) from error
    out = {}
    for k, row in enumerate(rows, start=1):
        where = f"{path.name}, excuse {k}"
        if not isinstance(row, dict) or set(row) != {"package", "id", "reason", "expires"}:
            raise AuditError("an excuse has package, id, reason and expires", where=where)
        ends = row["expires"]
        if not isinstance(ends, dt.date) or not str(row["reason"]).strip():
            raise AuditError("an excuse has a reason and ends on a day", where=where)
        if not today <= ends <= today + dt.timedelta(days=MOST_EXCUSE):
            raise AuditError(f"it ends on {ends}: over, or more than a year ahead", where=where)
        out[str(row["package"]), str(row["id"])] = str(row["reason"])
    return out


def _licences(pins: Sequence[Pin]) -> tuple[list[Found], tuple[str, ...]]:
    found, unseen = [], []
    for pin in pins:
        try:
            text = licence(distribution(pin.name))
        except PackageNotFoundError:
            unseen.append(pin.key)
            continue
        if why := refused(text):
            found.append(Found("licence", pin.key, pin.version, why))
    return found, tuple(unseen)

"""`PROJECT/cloud/state.sqlite`: what was begun, done and failed in the cloud, what serves, and which jobs were sent.

It is written before and after each change, so that after a kill it is known what may be half done. What there is, the
cloud says; this file holds no account number, key or secret.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bqx.base.errors import CloudStateError
from bqx.base.faults import fault
from bqx.base.runlog import current_run
from bqx.research.sqlite_file import prepare, transaction

NAME = "cloud/state.sqlite"
FORMAT = 1
APPLICATION_ID = 0x62717863  # "bqxc"
_SCHEMA = """
CREATE TABLE step (
    id INTEGER PRIMARY KEY, prefix TEXT NOT NULL, action TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
    outcome TEXT NOT NULL, detail TEXT NOT NULL, run_id TEXT NOT NULL, begun_at TEXT NOT NULL, ended_at TEXT
) STRICT;
CREATE INDEX step_of ON step (prefix, kind, name);
CREATE TABLE fact (
    prefix TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (prefix, name)
) STRICT;
CREATE TABLE job (
    prefix TEXT NOT NULL, run TEXT NOT NULL, item TEXT NOT NULL, attempt INTEGER NOT NULL, name TEXT NOT NULL,
    kind TEXT NOT NULL, status TEXT NOT NULL, detail TEXT NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (prefix, run, kind, item, attempt)
) STRICT;
"""


class CloudState:
    """Of the deployments of a project. Raises CloudStateError for a file that is none, Unsupported for a newer one."""

    def __init__(self, root: Path, prefix: str) -> None:
        self.prefix, self.path = prefix, Path(root) / NAME
        self.path.parent.mkdir(parents=True, exist_ok=True)
        prepare(
            self.path,
            _SCHEMA,
            mark=APPLICATION_ID,
            version=FORMAT,
            kind="state of the cloud",
            otherwise="no state of the cloud",
            error=CloudStateError,
        )

    @contextmanager
    def step(self, action: str, kind: str, name: str, detail: str = "") -> Iterator[None]:
        """Written as begun before the body, as done or failed after it; a kill leaves it begun."""
        with transaction(self.path) as con:
            row = con.execute(
                "INSERT INTO step (prefix, action, kind, name, outcome, detail, run_id, begun_at) "
                "VALUES (?, ?, ?, ?, 'begun', ?, ?, ?) RETURNING id",
                (self.prefix, action, kind, name, detail, current_run().run_id, _now()),
            ).fetchone()
        fault("before-cloud-step")
        try:
            yield
        except Exception as error:
            self._end(row["id"], "failed", f"{type(error).__name__}: {error}"[:2000])
            raise
        fault("after-cloud-call")
        self._end(row["id"], "done", detail)
        fault("after-cloud-step")

    def _end(self, step: int, outcome: str, detail: str) -> None:
        with transaction(self.path) as con:
            con.execute(
                "UPDATE step SET outcome = ?, detail = ?, ended_at = ? WHERE id = ?", (outcome, detail, _now(), step)
            )

    def steps(self, limit: int = 100) -> list[dict[str, Any]]:
        """Newest first."""
        with transaction(self.path) as con:
            rows = con.execute(
                "SELECT * FROM step WHERE prefix = ? ORDER BY id DESC LIMIT ?", (self.prefix, limit)
            ).fetchall()
        return [dict(r) for r in rows]

    def unfinished(self) -> list[dict[str, Any]]:
        """Things whose last step was begun or failed."""
        with transaction(self.path) as con:
            rows = con.execute(
                "SELECT * FROM step WHERE id IN (SELECT max(id) FROM step WHERE prefix = ? GROUP BY kind, name) "
                "AND outcome != 'done' ORDER BY id",
                (self.prefix,),
            ).fetchall()
        return [dict(r) for r in rows]

    def close(self, kind: str, name: str) -> None:
        """A step that was killed or failed, of a thing that is as wanted: it was done after all."""
        with transaction(self.path) as con:
            con.execute(
                "UPDATE step SET outcome = 'done', ended_at = ? WHERE outcome != 'done' AND id = "
                "(SELECT max(id) FROM step WHERE prefix = ? AND kind = ? AND name = ?)",
                (_now(), self.prefix, kind, name),
            )

    def begun(self, kind: str, name: str) -> bool:
        """Whether we once began to make it: then it is ours, even if it has not got its tag yet."""
        with transaction(self.path) as con:
            row = con.execute(
                "SELECT action FROM step WHERE prefix = ? AND kind = ? AND name = ? ORDER BY id DESC LIMIT 1",
                (self.prefix, kind, name),
            ).fetchone()
        return row is not None and row["action"] in ("create", "remake", "update")

    def set(self, name: str, value: Any) -> None:
        """A fact of the deployment; None forgets it."""
        with transaction(self.path) as con:
            if value is None:
                con.execute("DELETE FROM fact WHERE prefix = ? AND name = ?", (self.prefix, name))
                return
            con.execute(
                "INSERT INTO fact VALUES (?, ?, ?, ?) "
                "ON CONFLICT (prefix, name) DO UPDATE SET value = excluded.value, at = excluded.at",
                (self.prefix, name, json.dumps(value, sort_keys=True, allow_nan=False), _now()),
            )

    def get(self, name: str) -> Any:
        with transaction(self.path) as con:
            row = con.execute("SELECT value FROM fact WHERE prefix = ? AND name = ?", (self.prefix, name)).fetchone()
        return None if row is None else json.loads(row["value"])

    def forget(self) -> None:
        """After a deployment is gone: its facts and jobs; the record of steps stays."""
        with transaction(self.path) as con:
            con.execute("DELETE FROM fact WHERE prefix = ?", (self.prefix,))
            con.execute("DELETE FROM job WHERE prefix = ?", (self.prefix,))

    def note_job(self, run: str, kind: str, item: str, attempt: int, name: str, status: str, detail: str = "") -> None:
        with transaction(self.path) as con:
            con.execute(
                "INSERT INTO job VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (prefix, run, kind, item, attempt) "
                "DO UPDATE SET status = excluded.status, detail = excluded.detail, at = excluded.at",
                (self.prefix, run, item, attempt, name, kind, status, detail, _now()),
            )

    def jobs(self, run: str | None = None, kind: str | None = None) -> list[dict[str, Any]]:
        """By run, kind, item and attempt."""
        with transaction(self.path) as con:
            rows = con.execute(
                "SELECT * FROM job WHERE prefix = ?1 AND (?2 IS NULL OR run = ?2) AND (?3 IS NULL OR kind = ?3) "
                "ORDER BY run, kind, item, attempt",
                (self.prefix, run, kind),
            ).fetchall()
        return [dict(r) for r in rows]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")

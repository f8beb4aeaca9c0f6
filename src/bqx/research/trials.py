"""The ledger of trials: whatever was tried is a row, for later statistics must know how often luck had a chance."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bqx.base.errors import LedgerError
from bqx.base.runlog import current_run
from bqx.research.sqlite_file import prepare, transaction

LEDGER_NAME = "research.sqlite"
FORMAT = 1
APPLICATION_ID = 0x62717872  # "bqxr"
_SCHEMA = """
CREATE TABLE trial (
    id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, dataset TEXT NOT NULL,
    pair TEXT NOT NULL, fold TEXT NOT NULL, target TEXT NOT NULL, feature_set TEXT NOT NULL,
    columns INTEGER NOT NULL, lag_profile TEXT NOT NULL, model TEXT NOT NULL, parameters TEXT NOT NULL,
    seed INTEGER NOT NULL, score REAL, score_name TEXT NOT NULL, run_id TEXT NOT NULL, first_at TEXT NOT NULL,
    last_at TEXT NOT NULL, times INTEGER NOT NULL
) STRICT;
CREATE INDEX trial_kind ON trial (kind, dataset);
CREATE TABLE opened (
    dataset TEXT NOT NULL, release TEXT NOT NULL, seal TEXT NOT NULL, reason TEXT NOT NULL, run_id TEXT NOT NULL,
    opened_at TEXT NOT NULL, PRIMARY KEY (dataset, release)
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Trial:
    """One thing that was tried; two trials with equal fields other than `score` are the same trial.

    kind : `selection`, `forecast`, `causality` ... feature_set : a name or hash that stands for the columns, `columns`
    how many. parameters : all that was chosen, JSON values only. fold, pair, target : "" for all together.
    score : what a chooser looked at, None when nothing did.
    """

    kind: str
    model: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    feature_set: str = ""
    columns: int = 0
    lag_profile: str = ""
    dataset: str = ""
    pair: str = ""
    fold: str = ""
    target: str = ""
    seed: int = 0
    score: float | None = None
    score_name: str = ""

    @property
    def digest(self) -> str:
        """Names the trial: of all its fields but the score."""
        data = {k: v for k, v in asdict(self).items() if k != "score"}
        return hashlib.sha256(json.dumps(data, sort_keys=True, allow_nan=False).encode()).hexdigest()[:32]


_FIELDS = tuple(f.name for f in fields(Trial))
_INSERT = (
    f"INSERT INTO trial (digest, {', '.join(_FIELDS)}, run_id, first_at, last_at, times) "  # noqa: S608 - our names
    f"VALUES (:digest, {', '.join(':' + name for name in _FIELDS)}, :run_id, :now, :now, 1) "
    "ON CONFLICT (digest) DO UPDATE SET times = times + 1, last_at = excluded.last_at, score = excluded.score"
)


class Trials:
    """Rows of `research.sqlite` in a project folder; processes may share it, one writer at a time.

    Raises LedgerError when the file is not a ledger, Unsupported when a newer bqx wrote it.
    """

    def __init__(self, root: Path) -> None:
        self.path = Path(root) / LEDGER_NAME
        prepare(
            self.path,
            _SCHEMA,
            mark=APPLICATION_ID,
            version=FORMAT,
            kind="ledger",
            otherwise="not a ledger of trials",
            error=LedgerError,
        )

    def transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        """One write transaction, committed at a clean end."""
        return transaction(self.path)

    def record(self, trials: Iterable[Trial]) -> int:
        """Add rows; a trial made before counts once, with its `times` raised. The number of new rows."""
        run, now = current_run().run_id, datetime.now(UTC).isoformat(timespec="milliseconds")
        rows = [
            {**asdict(t), "parameters": _json(t.parameters), "digest": t.digest, "run_id": run, "now": now}
            for t in trials
        ]
        with self.transaction() as con:
            before = con.execute("SELECT count(*) FROM trial").fetchone()[0]
            con.executemany(_INSERT, rows)
            return int(con.execute("SELECT count(*) FROM trial").fetchone()[0] - before)

    def count(self, **where: str) -> int:
        """Different trials, narrowed by equal fields: `count(kind="selection", dataset=hash)`."""
        text, values = _where(where)
        with self.transaction() as con:
            return int(con.execute(f"SELECT count(*) FROM trial {text}", values).fetchone()[0])  # noqa: S608

    def list(self, *, limit: int | None = None, **where: str) -> list[dict[str, Any]]:
        """Rows in the order they were first tried, `parameters` as objects."""
        text, values = _where(where)
        with self.transaction() as con:
            found = con.execute(
                f"SELECT * FROM trial {text} ORDER BY id LIMIT ?",  # noqa: S608 - checked names
                [*values, -1 if limit is None else limit],
            ).fetchall()
        return [{**dict(row), "parameters": json.loads(row["parameters"])} for row in found]


def _json(parameters: Mapping[str, Any]) -> str:
    return json.dumps(dict(parameters), sort_keys=True, allow_nan=False)


def _where(where: Mapping[str, str]) -> tuple[str, list[str]]:
    if unknown := set(where) - set(_FIELDS) - {"run_id"}:
        raise LedgerError(f"a trial has no {sorted(unknown)[0]!r}", fix=f"it has {', '.join(_FIELDS)}")
    text = " AND ".join(f"{name} = ?" for name in where)
    return (f"WHERE {text}" if text else ""), list(where.values())

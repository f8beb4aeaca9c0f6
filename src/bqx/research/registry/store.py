"""`models/registry.sqlite`: models, every change of state with its gates, and evidence that other rooms hand in."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from bqx.base.errors import RegistryError, UsageError
from bqx.base.runlog import current_run
from bqx.research.registry.model import Model, State
from bqx.research.sqlite_file import prepare, transaction

NAME = "models/registry.sqlite"
FORMAT = 1
APPLICATION_ID = 0x6271786D  # "bqxm"
_SCHEMA = """
CREATE TABLE model (
    pair TEXT NOT NULL, version INTEGER NOT NULL, digest TEXT NOT NULL UNIQUE, path TEXT NOT NULL, run TEXT NOT NULL,
    run_hash TEXT NOT NULL, state TEXT NOT NULL, simulated INTEGER NOT NULL, facts TEXT NOT NULL,
    registered_at TEXT NOT NULL, changed_at TEXT NOT NULL, PRIMARY KEY (pair, version)
) STRICT;
CREATE UNIQUE INDEX one_in_production ON model (pair) WHERE state = 'production';
CREATE TABLE change (
    id INTEGER PRIMARY KEY, pair TEXT NOT NULL, version INTEGER NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL,
    who TEXT NOT NULL, reason TEXT NOT NULL, gates TEXT NOT NULL, run_id TEXT NOT NULL, at TEXT NOT NULL
) STRICT;
CREATE TABLE evidence (
    id INTEGER PRIMARY KEY, gate TEXT NOT NULL, subject TEXT NOT NULL, ok INTEGER NOT NULL, figures TEXT NOT NULL,
    source TEXT NOT NULL, run_id TEXT NOT NULL, at TEXT NOT NULL
) STRICT;
CREATE INDEX evidence_of ON evidence (gate, subject);
"""
ALL_MODELS = "*"
"""Subject of evidence that holds for the installation, such as a security scan."""


class Registry:
    """Several processes may share it, one writer at a time.

    Raises RegistryError when the file is no registry, Unsupported when a newer bqx wrote it.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.path = self.root / NAME
        self.path.parent.mkdir(exist_ok=True)
        prepare(
            self.path,
            _SCHEMA,
            mark=APPLICATION_ID,
            version=FORMAT,
            kind="registry",
            otherwise="no registry",
            error=RegistryError,
        )

    def _write(self) -> AbstractContextManager[sqlite3.Connection]:
        return transaction(self.path)

    def add(
        self, *, pair: str, digest: str, path: str, run: str, run_hash: str, simulated: bool, facts: Mapping[str, Any]
    ) -> Model:
        """Register an artefact as pending; one that is known already is given back as it is."""
        with self._write() as con:
            row = con.execute("SELECT * FROM model WHERE digest = ?", (digest,)).fetchone()
            if row is None:
                last = con.execute("SELECT max(version) FROM model WHERE pair = ?", (pair,)).fetchone()[0]
                values = (pair, (last or 0) + 1, digest, path, run, run_hash, "pending", int(simulated), _json(facts))
                con.execute("INSERT INTO model VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*values, _now(), _now()))
                row = con.execute("SELECT * FROM model WHERE digest = ?", (digest,)).fetchone()
        return _model(row)

    def models(self, pair: str | None = None, state: State | None = None) -> list[Model]:
        """By pair and version."""
        with self._write() as con:
            rows = con.execute(
                "SELECT * FROM model WHERE (?1 IS NULL OR pair = ?1) AND (?2 IS NULL OR state = ?2) "
                "ORDER BY pair, version",
                (pair, state),
            ).fetchall()
        return [_model(row) for row in rows]

    def model(self, name: str) -> Model:
        """By `pair:version`, or by the pair alone: the newest. UsageError for what is not there."""
        pair, _, version = name.partition(":")
        have = self.models(pair)
        chosen = have[-1:] if not version else [m for m in have if str(m.version) == version]
        if not chosen:
            known = ", ".join(m.name for m in self.models()) or "none: `bqx models add RUN`"
            raise UsageError(f"no model {name!r}", fix=f"there is {known}")
        return chosen[0]

    def production(self, pair: str) -> Model | None:
        """The model that serves a pair, None before one has passed all gates."""
        found = self.models(pair, "production")
        return found[0] if found else None

    def move(self, model: Model, after: State, *, who: str, reason: str, gates: list[dict[str, Any]]) -> Model:
        """Change a state, with the gates as they stood. What served the pair before is archived in the same step.

        RegistryError when the model is no longer in the state it was read in.
        """
        with self._write() as con:
            if after == "production":
                old = con.execute(
                    "SELECT * FROM model WHERE pair = ? AND state = 'production' AND version != ?",
                    (model.pair, model.version),
                ).fetchone()
                if old is not None:
                    self._change(con, _model(old), "archived", who, f"{model.name} takes its place", [])
            self._change(con, model, after, who, reason, gates)
        return self.model(model.name)

    @staticmethod
    def _change(
        con: sqlite3.Connection, model: Model, after: State, who: str, reason: str, gates: list[dict[str, Any]]
    ) -> None:
        done = con.execute(
            "UPDATE model SET state = ?, changed_at = ? WHERE pair = ? AND version = ? AND state = ?",
            (after, _now(), model.pair, model.version, model.state),
        )
        if done.rowcount != 1:
            raise RegistryError(f"{model.name} is no longer {model.state}", fix="look again: `bqx models show`")
        con.execute(
            "INSERT INTO change (pair, version, before, after, who, reason, gates, run_id, at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (model.pair, model.version, model.state, after, who, reason, _json(gates), current_run().run_id, _now()),
        )

    def changes(self, model: Model) -> list[dict[str, Any]]:
        """Every change of a model's state, oldest first."""
        with self._write() as con:
            rows = con.execute(
                "SELECT * FROM change WHERE pair = ? AND version = ? ORDER BY id", (model.pair, model.version)
            ).fetchall()
        return [{**dict(row), "gates": json.loads(row["gates"])} for row in rows]

    def record(self, gate: str, subject: str, *, ok: bool, figures: Mapping[str, Any], source: str) -> None:
        """Evidence for a gate from a room that research does not know: the service, the operations.

        subject : an artefact's digest, or ALL_MODELS. source : the command that made it.
        """
        with self._write() as con:
            con.execute(
                "INSERT INTO evidence (gate, subject, ok, figures, source, run_id, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (gate, subject, int(ok), _json(figures), source, current_run().run_id, _now()),
            )

    def evidence(self, gate: str, digest: str) -> dict[str, dict[str, Any]]:
        """The newest evidence of each source for an artefact, or for all of them."""
        with self._write() as con:
            rows = con.execute(
                "SELECT * FROM evidence WHERE gate = ? AND subject IN (?, ?) ORDER BY id", (gate, digest, ALL_MODELS)
            ).fetchall()
        return {
            row["source"]: {**dict(row), "ok": bool(row["ok"]), "figures": json.loads(row["figures"])} for row in rows
        }


def _model(row: sqlite3.Row) -> Model:
    data = dict(row)
    state = cast("State", data.pop("state"))
    return Model(
        **{**data, "simulated": bool(data["simulated"]), "facts": json.loads(data["facts"])},
        state=state,
    )


def _json(data: Any) -> str:
    return json.dumps(data, sort_keys=True, allow_nan=False)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")

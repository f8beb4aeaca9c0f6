"""The ledger: which object got which name, when and by whom; append-only, written with the renames it tells of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bqx.base.errors import MigrationSpecError
from bqx.base.runlog import current_run
from bqx.base.version import __version__
from bqx.store.migrate.plan import Plan

if TYPE_CHECKING:
    import psycopg

_TABLES = """
CREATE TABLE IF NOT EXISTS {s}.plan (
  plan_hash text PRIMARY KEY, migration text NOT NULL, made_at timestamptz NOT NULL, content text NOT NULL);
CREATE TABLE IF NOT EXISTS {s}.event (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, migration text NOT NULL, plan_hash text NOT NULL,
  kind text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp(), actor text NOT NULL DEFAULT current_user,
  run_id text NOT NULL, tool text NOT NULL, detail jsonb NOT NULL);
CREATE TABLE IF NOT EXISTS {s}.object (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_id bigint NOT NULL REFERENCES {s}.event(id),
  migration text NOT NULL, plan_hash text NOT NULL, batch int NOT NULL, state text NOT NULL, oid bigint NOT NULL,
  kind text NOT NULL, table_oid bigint NOT NULL, schema_name text NOT NULL, old text NOT NULL, new text NOT NULL,
  group_name text NOT NULL, column_name text NOT NULL, started timestamptz NOT NULL, finished timestamptz NOT NULL,
  actor text NOT NULL DEFAULT current_user, before jsonb);
CREATE INDEX IF NOT EXISTS object_migration ON {s}.object (migration, id);
CREATE OR REPLACE FUNCTION {s}.append_only() RETURNS trigger LANGUAGE plpgsql AS
  $f$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $f$;
"""
_GUARD = """
CREATE TRIGGER no_change BEFORE UPDATE OR DELETE ON {t} FOR EACH ROW EXECUTE FUNCTION {s}.append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON {t} FOR EACH STATEMENT EXECUTE FUNCTION {s}.append_only();
"""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of history. kind : started, batch, finished, failed, verified; rollback- before each when taken back."""

    id: int
    migration: str
    plan_hash: str
    kind: str
    at: datetime
    actor: str
    run_id: str
    tool: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """The last the ledger says of an object. state : applied, rolled_back, view (it keeps an old name) or dropped."""

    oid: int
    kind: str
    table: int
    schema: str
    old: str
    new: str
    group: str
    column: str
    state: str
    batch: int
    before: Mapping[str, Any] | None


def identity(oid: int, kind: str, column: str) -> tuple[int, str, str]:
    """What makes an object the same: OIDs are unique in one catalogue only, and a comment shares its table's."""
    return oid, kind if kind in ("constraint", "trigger", "policy", "statistics", "comment") else "relation", column


class Ledger:
    """Reads and writes the tables in `schema`; a database without them has an empty history."""

    def __init__(self, con: psycopg.Connection[Any], schema: str) -> None:
        from psycopg import sql

        self.con, self.schema = con, schema
        self._name = sql.Identifier(schema)

    def exists(self) -> bool:
        sql = "SELECT to_regclass(format('%%I.object', %s::text)) IS NOT NULL"
        return self.con.execute(sql, (self.schema,)).fetchone() == (True,)

    def create(self) -> None:
        """Make what is missing, in one transaction."""
        from psycopg import sql

        if self.exists():
            return
        with self.con.transaction():
            there = self.con.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (self.schema,)).fetchone()
            if there is None:  # even IF NOT EXISTS would ask for CREATE on the database
                self.con.execute(sql.SQL("CREATE SCHEMA {s}").format(s=self._name))
            self.con.execute(sql.SQL(_TABLES).format(s=self._name))
            for table in ("plan", "event", "object"):
                name = sql.Identifier(self.schema, table)
                self.con.execute(sql.SQL(_GUARD).format(s=self._name, t=name))

    def keep(self, plan: Plan) -> None:
        """The plan's text, once."""
        self._run(
            "INSERT INTO {s}.plan VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (plan.digest, plan.migration, plan.made_at, plan.text()),
        )

    def add(self, plan: Plan, kind: str, detail: Mapping[str, Any]) -> int:
        """An event; its id."""
        row = self._run(
            "INSERT INTO {s}.event (migration, plan_hash, kind, run_id, tool, detail)"
            " VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
            (plan.migration, plan.digest, kind, current_run().run_id, f"bqx {__version__}", json.dumps(detail)),
        ).fetchone()
        assert row is not None
        return int(row[0])

    def add_entries(
        self, plan: Plan, event: int, entries: Iterable[Entry], started: datetime, finished: datetime
    ) -> None:
        """What an event did to each object, by COPY."""
        from psycopg import sql

        copy = sql.SQL(
            "COPY {s}.object (event_id, migration, plan_hash, batch, state, oid, kind, table_oid, schema_name, old,"
            " new, group_name, column_name, started, finished, before) FROM STDIN"
        ).format(s=self._name)
        with self.con.cursor() as cursor, cursor.copy(copy) as out:
            for e in entries:
                before = None if e.before is None else json.dumps(e.before)
                out.write_row((
                    event, plan.migration, plan.digest, e.batch, e.state, e.oid, e.kind, e.table, e.schema, e.old,
                    e.new, e.group, e.column, started, finished, before,
                ))  # fmt: skip

    def plan(self, migration: str) -> Plan:
        """The plan that was applied last (not a rollback's); MigrationSpecError when there is none."""
        row = None
        if self.exists():
            row = self._run(
                "SELECT p.content FROM {s}.event e JOIN {s}.plan p USING (plan_hash) WHERE e.migration = %s"
                " AND e.kind NOT LIKE 'rollback%%' ORDER BY e.id DESC LIMIT 1",
                (migration,),
            ).fetchone()
        if row is None:
            raise MigrationSpecError(
                f"the ledger knows no migration {migration!r}",
                where=f"schema {self.schema}",
                fix="give a plan file, or see `bqx migrate status`",
            )
        return Plan.parse(row[0], "ledger")

    def events(self, migration: str) -> list[Event]:
        """History, oldest first."""
        if not self.exists():
            return []
        sql = (
            "SELECT id, migration, plan_hash, kind, at, actor, run_id, tool, detail FROM {s}.event"
            " WHERE migration = %s ORDER BY id"
        )
        return [Event(*row) for row in self._run(sql, (migration,))]

    def migrations(self) -> list[str]:
        if not self.exists():
            return []
        return [row[0] for row in self._run("SELECT DISTINCT migration FROM {s}.event ORDER BY 1", ())]

    def entries(self, migration: str) -> dict[tuple[int, str, str], Entry]:
        """By `identity`: the last entry of each object."""
        if not self.exists():
            return {}
        sql = (
            "SELECT oid, kind, table_oid, schema_name, old, new, group_name, column_name, state, batch, before"
            " FROM {s}.object WHERE migration = %s ORDER BY id"
        )
        found = [Entry(*row) for row in self._run(sql, (migration,))]
        return {identity(e.oid, e.kind, e.column): e for e in found}

    def done(self, migration: str) -> dict[int, str]:
        """OID -> the name this migration gave it, of what is not taken back."""
        return {e.oid: e.new for e in self.entries(migration).values() if e.state == "applied" and e.kind != "comment"}

    def views(self, migration: str) -> dict[int, str]:
        """OID -> name of compatibility views."""
        return {e.oid: e.old for e in self.entries(migration).values() if e.state == "view"}

    def digest(self, migration: str) -> str:
        """sha256 over all the migration's object lines."""
        if not self.exists():
            return hashlib.sha256(b"").hexdigest()
        sql = (
            "SELECT id, event_id, plan_hash, batch, state, oid, kind, schema_name, old, new, actor"
            " FROM {s}.object WHERE migration = %s ORDER BY id"
        )
        digest = hashlib.sha256()
        for row in self._run(sql, (migration,)):
            digest.update(json.dumps(row).encode() + b"\n")
        return digest.hexdigest()

    def _run(self, text: str, values: tuple[Any, ...]) -> psycopg.Cursor[Any]:
        from psycopg import sql

        return self.con.execute(sql.SQL(text).format(s=self._name), values)

"""Small legacy worlds for the tests of migrations: a schema each, with its own ledger."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from bqx.store.migrate.apply import Options, Result, apply
from bqx.store.migrate.connect import connect
from bqx.store.migrate.fixture import World, build
from bqx.store.migrate.live import plan_live
from bqx.store.migrate.plan import Plan
from bqx.store.migrate.rollback import rollback
from bqx.store.migrate.spec import Spec, parse_spec
from bqx.store.migrate.status import Status, status

FAMILIES = ("statistics", "correlation")
PAIRS = ("eurusd", "usdjpy")
MONTHS = ((2024, 12), (2025, 1))
ROWS = {"statistics": 43, "correlation": 0}
BASE = """
migration: small
schema: {schema}
ledger_schema: {schema}_ledger
places: {{family: [statistics, correlation]}}
rules:
  - {{from: "{{family}}_features_{{pair}}[_{{month}}]", to: "{{family}}_rate_{{pair}}[_{{month}}]"}}
expect: {{each: {{tables: 6, parents: 2, partitions: 4, partitions_per_parent: 2}}, total: 12, empty: [correlation]}}
lock_timeout_ms: 300
retries: 1
"""
_serial = itertools.count()


def no_sleep(seconds: float) -> None:
    pass


@dataclass
class Small:
    """A schema of two families, two pairs, two months: 12 tables, 43 rows."""

    dsn: str
    schema: str = field(default_factory=lambda: f"world{next(_serial)}")

    def make(self, rows: dict[str, int] | None = None) -> Small:
        build(self.dsn, World(self.schema, FAMILIES, PAIRS, MONTHS, 1.0, rows=ROWS if rows is None else rows), jobs=1)
        return self

    def drop(self) -> None:
        """Away with it: functions that say old names are looked for in all schemas."""
        self.run("DROP SCHEMA {s} CASCADE", "DROP SCHEMA IF EXISTS {s}_ledger CASCADE")

    def spec(self, more: str = "", **replaced: Any) -> Spec:
        """The base specification with lines added; a key given again replaces the base's."""
        keys = {line.partition(":")[0] for line in more.splitlines() if line and not line.startswith((" ", "-"))}
        base = [b for b in BASE.format(schema=self.schema).splitlines(keepends=True) if b.partition(":")[0] not in keys]
        if "rules" in keys:
            base = [b for b in base if not b.startswith("  - ")]
        return parse_spec("".join(base) + more + "\n")

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Each statement in autocommit; {s} is the schema. Rows of the last."""
        with psycopg.connect(self.dsn, autocommit=True) as con:
            for statement in statements:
                cursor = con.execute(statement.replace("{s}", self.schema).encode())
            rows = cursor.fetchall() if cursor.description else []
            con.execute("SELECT pg_stat_force_next_flush()")  # so that a plan made next counts these writes
        return rows

    def plan(self, more: str = "", spec: Spec | None = None, **options: Any) -> Plan:
        with connect(self.dsn) as con:
            return plan_live(con, spec or self.spec(more), **options)

    def apply(self, plan: Plan, **options: Any) -> Result:
        return apply(self.dsn, plan, Options(**{"sleep": no_sleep, **options}))

    def back(self, plan: Plan, **options: Any) -> Result:
        return rollback(self.dsn, plan, Options(**{"sleep": no_sleep, **options}))

    def status(self, plan: Plan) -> Status:
        return status(self.dsn, plan)

    def names(self, kinds: Sequence[str] = ("r", "p")) -> list[str]:
        listed = ", ".join(f"'{kind}'" for kind in kinds)
        return [
            r[0]
            for r in self.run(
                f"SELECT relname FROM pg_class WHERE relnamespace = '{{s}}'::regnamespace AND relkind IN ({listed})"
                " ORDER BY 1"
            )
        ]

    def old(self) -> int:
        """Relations of any kind with the old word."""
        return sum("_features_" in n for n in self.names(("r", "p", "f", "v", "i", "I", "S")))

    def picture(self) -> list[tuple[Any, ...]]:
        """pg_class and what hangs on it, as far as a rename could touch them."""
        return self.run(
            "SELECT c.oid, c.relname, c.relkind, c.relfilenode, c.relowner, c.relacl::text, c.relnatts, t.typname,"
            " pg_get_expr(c.relpartbound, c.oid) FROM pg_class c LEFT JOIN pg_type t ON t.oid = c.reltype"
            " WHERE c.relnamespace = '{s}'::regnamespace ORDER BY c.oid"
        ) + self.run(
            "SELECT oid, conname, conrelid, contype::text FROM pg_constraint WHERE connamespace = '{s}'::regnamespace"
            " ORDER BY oid"
        )

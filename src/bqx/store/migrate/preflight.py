"""What only the live server can tell before any DDL: privileges, dependants, sessions, locks, who holds a new name."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bqx.store.migrate import dependants, sessions
from bqx.store.migrate.budget import Budget, need
from bqx.store.migrate.plan import Finding, Level, Plan

if TYPE_CHECKING:
    import psycopg

SHOWN = 5


def look(con: psycopg.Connection[Any], plan: Plan, budget: Budget, scan: Path | None = None) -> list[Finding]:
    """Findings about the plan as it would run now; changes nothing."""
    return [
        *_privileges(con, plan),
        *_holders_of_names(con, plan),
        *_knowers(con, plan, scan),
        *_replication(con, plan),
        *_empty(con, plan),
        *_locks(plan, budget),
        *busy(con, plan),
    ]


def busy(con: psycopg.Connection[Any], plan: Plan) -> list[Finding]:
    """What runs on the planned tables at this moment (A5.10, A5.11)."""
    oids = [s.oid for s in plan.tables if s.state == "pending"]
    out = [
        Finding("A5.11", "stop", f"the prepared transaction {gid} holds planned tables", gid, "commit or roll it back")
        for gid in sessions.prepared(con, oids)
    ]
    for pid, table, command in sessions.indexing(con, oids):
        out.append(Finding("A5.11", "stop", f"{command} runs on {table} (pid {pid})", table, "--wait for it"))
    for pid, table, firm in sessions.vacuums(con, oids):
        if firm:
            what = f"a vacuum that does not give way runs on {table} (pid {pid})"
            out.append(Finding("A5.11", "stop", what, table, "--wait for it"))
    skip = {f.where for f in out}
    for holder in sessions.holders(con, oids):
        if holder.table not in skip and holder.state != "prepared":
            kind = "writes" if holder.writing else "reads"
            out.append(Finding("A5.10", "note", f"{holder} {kind} planned tables", holder.table))
    return out


def wait_for_quiet(
    con: psycopg.Connection[Any], plan: Plan, seconds: float, *, sleep: Callable[[float], None] = time.sleep
) -> list[Finding]:
    """`busy` again and again until nothing stops the plan or `seconds` are over."""
    until = time.monotonic() + seconds
    while True:
        found = busy(con, plan)
        if not any(f.level == "stop" for f in found) or time.monotonic() >= until:
            return found
        sleep(min(0.2, max(0.0, until - time.monotonic())))


def writers(con: psycopg.Connection[Any], plan: Plan) -> list[Finding]:
    """Whether somebody wrote the old tables since the plan was made, or too short ago (A5.12)."""
    if plan.spec.compatibility_views or plan.spec.allow.writers or plan.direction == "rollback":
        return []
    fix = "stop the writers, or ask for compatibility_views, or allow: {writers: true}"
    now = sessions.writes(con, list(plan.writes))
    names = {s.oid: s.old for s in plan.tables if s.state == "pending"}
    moved = [names[oid] for oid, count in now.items() if oid in names and count > plan.writes[oid]]
    if moved:
        what = f"{len(moved)} planned tables were written since the plan was made, such as {sorted(moved)[0]}"
        return [Finding("A5.12", "stop", what, sorted(moved)[0], f"{fix}; then plan again")]
    age = (datetime.now(UTC) - datetime.fromisoformat(plan.made_at)).total_seconds() / 60
    if age < plan.spec.quiet_minutes:
        what = f"quiet for {age:.1f} minutes so far, {plan.spec.quiet_minutes:g} are asked"
        return [Finding("A5.12", "stop", what, "quiet_minutes", "run the same command later")]
    open_ = [h for h in sessions.holders(con, list(names)) if h.writing]
    return [Finding("A5.12", "stop", f"{h} has planned tables open for writing", h.table, fix) for h in open_[:SHOWN]]


def _privileges(con: psycopg.Connection[Any], plan: Plan) -> list[Finding]:
    schema, ledger = plan.spec.schema_name, plan.spec.ledger_schema
    row = con.execute(
        "SELECT current_user, has_schema_privilege(n.oid, 'CREATE'), l.oid IS NOT NULL,"
        " has_database_privilege(current_database(), 'CREATE') FROM pg_namespace n"
        " LEFT JOIN pg_namespace l ON l.nspname = %s WHERE n.nspname = %s",
        (ledger, schema),
    ).fetchone()
    if row is None:
        return [Finding("schema", "stop", f"there is no schema {schema}", schema, "set `schema` in the specification")]
    user, create, has_ledger, create_schema = row
    out = []
    if plan.pending and not create:
        fix = f"GRANT CREATE ON SCHEMA {schema} TO {user}"
        out.append(Finding("privileges", "stop", f"{user} may not create in schema {schema}", schema, fix))
    if plan.pending and not has_ledger and not create_schema:
        fix = f"as the database's owner: CREATE SCHEMA {ledger} AUTHORIZATION {user}"
        out.append(Finding("privileges", "stop", f"{user} may not make the ledger's schema {ledger}", ledger, fix))
    foreign = [
        r[0]
        for r in con.execute(
            "SELECT c.relname FROM pg_class c WHERE c.oid = ANY(%s::int8[]::oid[])"
            " AND NOT pg_has_role(c.relowner, 'USAGE') ORDER BY 1",
            ([s.oid for s in plan.tables if s.state == "pending"],),
        )
    ]
    if foreign:
        what = f"{user} does not own {len(foreign)} planned tables, such as {foreign[0]}"
        out.append(Finding("privileges", "stop", what, foreign[0], "run as their owner, or be a member of that role"))
    return out


def _holders_of_names(con: psycopg.Connection[Any], plan: Plan) -> list[Finding]:
    """What stands in the way of each conflict: an empty shell of the same columns, a table with data, or no table."""
    from psycopg import sql

    schema, out = plan.spec.schema_name, []
    for step in [s for s in plan.tables if s.state == "conflict"][: SHOWN * 4]:
        row = con.execute(
            "SELECT c.relkind::text, c.oid::int8 FROM pg_class c WHERE c.relname = %s AND"
            " c.relnamespace = to_regnamespace(quote_ident(%s))",
            (step.new, schema),
        ).fetchone()
        if row is None or row[0] not in ("r", "p"):
            kind = "not a table"
        else:
            full = con.execute(
                sql.SQL("SELECT EXISTS (SELECT 1 FROM {})").format(sql.Identifier(schema, step.new))
            ).fetchone()
            same = con.execute(_SAME_COLUMNS, {"a": step.oid, "b": row[1]}).fetchone()
            assert full is not None
            kind = "a table with rows" if full[0] else "an empty table of other columns"
            kind = "an empty shell of the same columns" if not full[0] and same is not None else kind
        out.append(Finding("A5.1", "note", f"{step.new} is {kind}", step.new))
    return out


_SAME_COLUMNS = """
SELECT 1 FROM (
  SELECT array_agg((a.attname, a.atttypid, a.atttypmod) ORDER BY a.attname)
  FROM pg_attribute a WHERE a.attrelid IN (%(a)s::int8::oid, %(b)s::int8::oid) AND a.attnum > 0 AND NOT a.attisdropped
  GROUP BY a.attrelid) AS t(columns)
GROUP BY columns HAVING count(*) = 2
"""


def _knowers(con: psycopg.Connection[Any], plan: Plan, scan: Path | None) -> list[Finding]:
    """Functions, jobs, event triggers and sources that say old names (A5.7)."""
    if not plan.pending:
        return []
    views, allow, out = plan.spec.compatibility_views, plan.spec.allow, []
    fix = "change it and name it in allow: {functions: [...]}, or ask for compatibility_views"
    for _, name in dependants.functions(con, plan):
        known = views or name in allow.functions
        what = f"the function {name} has an old name in its text and would fail when called"
        out.append(Finding("A5.7", "warn" if known else "stop", what, name, fix))
    out += [
        Finding("A5.7", "warn" if views else "stop", f"pg_cron {job[:120]}", "cron.job", fix)
        for job in dependants.jobs(con, plan)
    ]
    for name, knows in dependants.event_triggers(con, plan):
        level: Level = "stop" if knows and not views and name not in allow.functions else "note"
        out.append(Finding("A5.7", level, f"the event trigger {name} will fire on every rename", name, fix))
    if scan is not None:
        hits = list(dependants.source_hits(scan, plan))
        for hit in hits[:SHOWN]:
            level = "warn" if views or allow.source else "stop"
            out.append(Finding("A5.7", level, f"{hit} says an old name ({len(hits)} lines do)", hit, fix))
    return out


def _replication(con: psycopg.Connection[Any], plan: Plan) -> list[Finding]:
    """Publications (A5.13): a subscriber finds tables by name, so it would stop or miss rows."""
    out = []
    for name, tables in dependants.publications(con, plan):
        known = name in plan.spec.allow.publications
        what = f"the publication {name} has {tables} planned tables; subscribers know them by their old names"
        fix = "rename at the subscribers as well, then name it in allow: {publications: [...]}"
        out.append(Finding("A5.13", "warn" if known else "stop", what, name, fix))
    return out


def _empty(con: psycopg.Connection[Any], plan: Plan) -> list[Finding]:
    """Groups without a row against those declared empty (A5.16)."""
    out = []
    for group in plan.groups:
        empty = _is_empty(con, plan, group)
        if empty is None:
            continue
        declared = group in plan.spec.expect.empty
        if empty and declared:
            out.append(Finding("A5.16", "note", f"{group}: 0 rows, expected", group))
        elif empty:
            fix = "name it in expect: {empty: [...]} if that is right"
            out.append(Finding("A5.16", "stop", f"{group}: 0 rows, which nobody declared", group, fix))
        elif declared:
            fix = "take it out of expect.empty if that is right"
            out.append(Finding("A5.16", "stop", f"{group} has rows, but is declared empty", group, fix))
    return out


def _is_empty(con: psycopg.Connection[Any], plan: Plan, group: str) -> bool | None:
    """None when it cannot be told: no tables, or not ours to read."""
    from psycopg import sql

    mine = [s for s in plan.tables if s.group == group and s.state != "missing"]
    tops = [s for s in mine if s.kind in ("table", "parent")] or [s for s in mine if s.kind == "partition"]
    names = [s.new if s.state == "done" else s.old for s in tops]
    schema = plan.spec.schema_name
    for name in names:
        may = con.execute(
            "SELECT has_table_privilege(format('%%I.%%I', %s::text, %s::text), 'SELECT')", (schema, name)
        ).fetchone()
        if may is None or not may[0]:
            return None
        with con.transaction():
            con.execute("SELECT set_config('row_security', 'on', true)")
            row = con.execute(
                sql.SQL("SELECT EXISTS (SELECT 1 FROM {})").format(sql.Identifier(schema, name))
            ).fetchone()
        if row is not None and row[0]:
            return False
    return True if names else None


def _locks(plan: Plan, budget: Budget) -> list[Finding]:
    """The lock budget (A5.9); whether it fits one transaction, several or none."""
    if not plan.pending:
        return []
    wanted = need(plan.pending, views=plan.spec.compatibility_views)
    if wanted <= budget.allowed:
        return [Finding("A5.9", "note", f"{wanted:,} locks of {budget.allowed:,} that one transaction may take")]
    what = f"{wanted:,} locks do not fit into one transaction, which may take {budget.allowed:,}"
    if plan.spec.mode == "atomic":
        fix = "mode: batched, or a larger max_locks_per_transaction"
        return [Finding("A5.9", "stop", what, "max_locks_per_transaction", fix)]
    return [Finding("A5.9", "note", f"{what}: batches", "max_locks_per_transaction")]

"""Who knows the old names by heart: function bodies, jobs, event triggers, publications, source trees; and views."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bqx.store.migrate.names import core
from bqx.store.migrate.plan import Plan

if TYPE_CHECKING:
    import psycopg

MAX_FILE = 2 << 20
_FUNCTIONS = """
SELECT p.oid::int8, n.nspname, p.proname, p.prosrc FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_language l ON l.oid = p.prolang
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%%'
  AND l.lanname NOT IN ('c', 'internal') AND p.prosrc ~ %(words)s ORDER BY 2, 3, 1
"""
_EVENTS = """
SELECT e.evtname, p.prosrc FROM pg_event_trigger e JOIN pg_proc p ON p.oid = e.evtfoid
WHERE e.evtenabled <> 'D' AND (e.evttags IS NULL OR e.evttags && ARRAY['ALTER TABLE', 'ALTER INDEX'])
ORDER BY 1
"""
_PUBLICATIONS = """
SELECT pubname, count(*) FROM pg_publication_tables
WHERE schemaname = %(schema)s AND tablename = ANY(%(names)s) GROUP BY 1 ORDER BY 1
"""
_VIEWS = """
SELECT DISTINCT c.oid::int8, n.nspname, c.relname FROM pg_depend d
JOIN pg_rewrite w ON w.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
JOIN pg_class c ON c.oid = w.ev_class AND c.relkind IN ('v', 'm') JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY(%(oids)s::int8[]::oid[]) ORDER BY 2, 3
"""


def old_words(plan: Plan) -> str:
    """A regular expression of the words the plan retires, for PostgreSQL and for Python."""
    words = set()
    for step in plan.tables:
        if step.old != step.new:
            found = core(step.old, step.new)
            words.add(found[0] if found else step.old)
    return "(^|[^a-zA-Z0-9])(" + "|".join(sorted(re.escape(w) for w in words)) + ")([^a-zA-Z0-9]|$)"


def functions(con: psycopg.Connection[Any], plan: Plan) -> list[tuple[int, str]]:
    """(oid, schema.name) of functions whose text has an old word."""
    rows = con.execute(_FUNCTIONS, {"words": old_words(plan)}).fetchall()
    return [(oid, f"{schema}.{name}") for oid, schema, name, _ in rows]


def event_triggers(con: psycopg.Connection[Any], plan: Plan) -> list[tuple[str, bool]]:
    """(name, whether its function knows old words) of event triggers that the renames will fire."""
    words = re.compile(old_words(plan))
    return [(name, words.search(source) is not None) for name, source in con.execute(_EVENTS)]


def jobs(con: psycopg.Connection[Any], plan: Plan) -> list[str]:
    """Commands of pg_cron with an old word; none where there is no pg_cron that we may read."""
    row = con.execute(
        "SELECT to_regclass('cron.job') IS NOT NULL AND has_table_privilege(to_regclass('cron.job'), 'SELECT')"
    ).fetchone()
    if row is None or not row[0]:
        return []
    found = con.execute("SELECT jobid::text, command FROM cron.job WHERE command ~ %s", (old_words(plan),))
    return [f"job {jobid}: {command}" for jobid, command in found]


def publications(con: psycopg.Connection[Any], plan: Plan) -> list[tuple[str, int]]:
    """(publication, planned tables in it): subscribers know tables by name."""
    names = [s.old for s in plan.tables if s.state == "pending"]
    return [(n, c) for n, c in con.execute(_PUBLICATIONS, {"schema": plan.spec.schema_name, "names": names})]


def views(con: psycopg.Connection[Any], oids: Sequence[int]) -> list[tuple[int, str, str]]:
    """(oid, schema, name) of views that read these tables; they are bound by OID and follow."""
    return [(row[0], row[1], row[2]) for row in con.execute(_VIEWS, {"oids": list(oids)})]


def source_hits(root: Path, plan: Plan) -> Iterator[str]:
    """file:line of every old word in text files below `root`; hidden folders and large files are passed over."""
    words = re.compile(old_words(plan))
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        if any(part.startswith(".") for part in inside.parts) or not path.is_file() or path.is_symlink():
            continue
        if path.stat().st_size > MAX_FILE:
            continue
        data = path.read_bytes()
        if b"\0" in data:
            continue
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), start=1):
            if words.search(line):
                yield f"{inside}:{number}"

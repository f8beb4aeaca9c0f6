"""The assertions V1-V9: each says what it asked, what it expected and what it saw; none is a print-out."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from bqx.base.errors import VerificationError
from bqx.store.migrate import catalogue, dependants
from bqx.store.migrate.inventory import Inventory, Relation
from bqx.store.migrate.ledger import Entry
from bqx.store.migrate.names import follow
from bqx.store.migrate.plan import TABLE_KINDS, Plan
from bqx.store.migrate.planner import kept_names
from bqx.store.migrate.planner_findings import counts

if TYPE_CHECKING:
    import psycopg

SHOWN = 5
SAME = ("filenode", "space", "owner", "acl", "natts", "signature", "kind", "parent", "bound", "persistence")
_BOUND = re.compile(r"FOR VALUES FROM \((?P<low>.*)\) TO \((?P<high>.*)\)")


@dataclass(frozen=True, slots=True)
class Check:
    """One verdict. passed is None when the check was not asked for, with the reason in `observed`."""

    id: str
    title: str
    query: str
    expected: str
    observed: str
    passed: bool | None
    details: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Check:
        return cls(**{**data, "details": tuple(data["details"])})


def demand(checks: Iterable[Check]) -> None:
    """Raise VerificationError with the first check that does not hold."""
    failed = [c for c in checks if c.passed is False]
    if failed:
        c = failed[0]
        more = f" ({', '.join(x.id for x in failed[1:])} fail too)" if len(failed) > 1 else ""
        what = f"{c.id} {c.title}: {c.observed}, expected {c.expected}{more}"
        raise VerificationError(what, where="; ".join(c.details[:SHOWN]) or None, fix="see `bqx migrate verify --json`")


def make(id: str, title: str, query: str, expected: str, observed: str, wrong: Sequence[str]) -> Check:
    """A verdict: it holds when nothing is wrong."""
    return Check(id, title, " ".join(query.split()), expected, observed, not wrong, tuple(wrong[:SHOWN]))


def tables_of(entries: Iterable[Entry]) -> list[Entry]:
    return [e for e in entries if e.kind in TABLE_KINDS]


def identity(entries: Sequence[Entry], after: Mapping[int, Relation]) -> Check:
    """V1: the same storage, owner, rights and columns under the new name."""
    wrong = []
    tables = tables_of(entries)
    for e in tables:
        now = after.get(e.oid)
        if now is None:
            wrong.append(f"{e.new} is gone")
            continue
        if now.name != e.new:
            wrong.append(f"OID {e.oid} is called {now.name}, not {e.new}")
        before = e.before or {}
        wrong += [
            f"{e.new}: {what} was {before[what]}, is {getattr(now, what)}"
            for what in SAME
            if what in before and before[what] != getattr(now, what)
        ]
    same = len(tables) - len({w.split(":")[0] for w in wrong})
    expected = f"{len(tables):,} tables with new name and same {', '.join(SAME[:6])}"
    return make("V1", "identity", catalogue.OF_SCHEMA, expected, f"{same:,} are", wrong)


def numbers(plan: Plan, now: Plan) -> Check:
    """V2: tables, parents and partitions a group, equal to the plan and to the specification."""
    planned = {(g, what): n for g, what, _, n in counts(plan.spec, plan.steps)}
    wrong = []
    for group, what, wanted, found in counts(plan.spec, now.steps):
        if found != planned.get((group, what), 0):
            wrong.append(f"{group}: {found:,} {what}, {planned.get((group, what), 0):,} planned")
        elif wanted is not None and found != wanted:
            wrong.append(f"{group}: {found:,} {what}, {wanted:,} expected")
    total, wanted = len(now.tables), len(plan.tables)
    groups = len(plan.groups)
    each = ", ".join(f"{g} {n:,}" for g, n in sorted(Counter(s.group for s in now.tables).items()))
    return make(
        "V2", "counts", catalogue.OF_SCHEMA, f"{wanted:,} tables in {groups} groups", f"{total:,} ({each})", wrong
    )


def residue(plan: Plan, entries: Sequence[Entry], inventory: Inventory, views: Mapping[int, str]) -> Check:
    """V3: nothing of any kind has an old name, but views that were asked for and strays that were allowed."""
    new = {e.new for e in entries}
    old = {e.old for e in entries if e.kind in (*TABLE_KINDS, "index", "sequence")} - new
    mine = {e.oid for e in entries}
    words = plan.spec.stray_regex if plan.direction == "apply" and plan.spec.cascade_names else None
    wrong, allowed = [], 0
    for name, taken in sorted(inventory.names.items()):
        if name in old or (words is not None and taken.oid not in mine and words.search(name)):
            if taken.oid in views or name in plan.spec.allow.strays:
                allowed += 1
            else:
                wrong.append(name)
    text = f"{len(wrong)} residual names" + (f", {allowed} allowed or views" if allowed else "")
    text += f"; {len(plan.others)} tables of other families keep the old word" if plan.others else ""
    asked = words.pattern if words is not None else "the planned old names"
    return make("V3", "residue", f"{catalogue.NAMES} -- {asked}", "0 residual names", text, wrong)


def partitions(plan: Plan, entries: Sequence[Entry], after: Mapping[int, Relation], now: Inventory) -> Check:
    """V4: each parent has the partitions it had, with the bounds they had, and no gap between them if so declared."""
    wrong, parents = [], [e for e in entries if e.kind == "parent"]
    children: dict[int, list[Relation]] = defaultdict(list)
    for r in now.relations:
        children[r.parent].append(r)
    held: dict[int, int] = Counter(
        int(e.before["parent"]) for e in tables_of(entries) if e.before and e.before.get("parent")
    )
    per = plan.spec.expect.each.partitions_per_parent
    for e in parents:
        found = len(children[e.oid])
        wanted = per if per is not None else held[e.oid]
        if found != wanted:
            wrong.append(f"{e.new} has {found} partitions, not {wanted}")
        if plan.spec.expect.contiguous:
            wrong += gaps(e.new, [r.bound for r in children[e.oid]])
    for e in tables_of(entries):
        seen = after.get(e.oid)
        if seen is not None and e.before and (e.before["parent"], e.before["bound"]) != (seen.parent, seen.bound):
            wrong.append(f"{e.new}: {e.before['bound']} became {seen.bound}")
    attached = sum(len(children[e.oid]) for e in parents)
    expected = f"{sum(held.values()):,} partitions of {len(parents)} parents, bounds unchanged"
    expected += ", no gap" if plan.spec.expect.contiguous else ""
    return make("V4", "partitions", catalogue.OF_SCHEMA, expected, f"{attached:,} attached", wrong)


def gaps(parent: str, bounds: Sequence[str]) -> list[str]:
    """Holes between range partitions, and bounds that are not ranges."""
    found = [_BOUND.fullmatch(b) for b in bounds]
    if not all(found):
        return [f"{parent} is not partitioned by ranges alone"]
    ends = sorted((m["low"], m["high"]) for m in found if m)
    return [f"{parent}: nothing between {high} and {low}" for (_, high), (low, _) in pairwise(ends) if high != low]


def rows(
    entries: Sequence[Entry],
    found: Mapping[int, int],
    how: str,
    same_storage: bool | None = None,
    declared: Mapping[str, int] = {},
) -> Check:
    """V5: exact counts (of all or of a sample) equal those before, and those declared a group."""
    before = {e.oid: e.before["rows"] for e in tables_of(entries) if e.before and e.before.get("rows") is not None}
    names = {e.oid: e.new for e in entries}
    compared = [oid for oid in found if oid in before]
    wrong = [f"{names[o]}: {before[o]:,} rows before, {found[o]:,} after" for o in compared if before[o] != found[o]]
    if same_storage is False:
        wrong.append("storage files or their sizes differ")
    expected = f"{sum(before[o] for o in compared):,} rows in {len(compared):,} tables ({how})"
    observed = f"{sum(found[o] for o in compared):,} rows"
    if not compared:
        wrong.append("nothing was counted before")
    groups = {e.oid: e.group for e in entries}
    for group, wanted in declared.items():
        total = sum(n for oid, n in found.items() if groups[oid] == group)
        if total != wanted:
            wrong.append(f"{group}: {total:,} rows, {wanted:,} declared")
    return make("V5", "rows", "SELECT count(*) FROM ONLY each table", expected, observed, wrong)


def names(plan: Plan, entries: Sequence[Entry], now: Inventory) -> Check:
    """V6: nothing that hangs on a table carries the old word, inherited constraints that cannot be renamed aside."""
    if not plan.spec.cascade_names:
        return Check("V6", "names", catalogue.PARTS, "not asked", "cascade_names is off", None)
    table = {e.oid: e for e in tables_of(entries)}
    parts = [p for p in now.parts if p.table in table]
    stuck = kept_names(now, table)
    wrong = [
        f"{p.kind} {p.name}"
        for p in parts
        if not p.inherited and p.oid not in stuck and follow(p.name, table[p.table].old, table[p.table].new) != p.name
    ]
    observed = f"{len(wrong)} of {len(parts):,} do"
    return make("V6", "names", catalogue.PARTS, "0 indexes, constraints, ... with the old word", observed, wrong)


def dependent(con: psycopg.Connection[Any], plan: Plan, entries: Sequence[Entry]) -> Check:
    """V7: every view on the tables compiles; functions that say old names are flagged."""
    import psycopg
    from psycopg import sql

    wrong = []
    found = dependants.views(con, [e.oid for e in tables_of(entries)])
    for _, schema, name in found:
        try:
            with con.transaction():
                con.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(sql.Identifier(schema, name)))
        except psycopg.Error as error:
            wrong.append(f"view {schema}.{name}: {str(error).splitlines()[0]}")
    flagged = [name for _, name in dependants.functions(con, plan)]
    text = f"{len(found) - len(wrong)} do"
    text += f"; flagged functions: {', '.join(flagged[:SHOWN])}" if flagged else "; no function says an old name"
    return make(
        "V7", "dependants", "SELECT * FROM each view LIMIT 0", f"all of {len(found)} views compile", text, wrong
    )

"""From a specification and one reading of the catalogue to a plan: pure, so that it can be tested by the thousand."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from bqx.store.migrate.inventory import KINDS, Inventory, Part, Relation
from bqx.store.migrate.names import follow
from bqx.store.migrate.plan import Finding, Plan, State, Step
from bqx.store.migrate.planner_findings import expected, gone, lengths, some, strays
from bqx.store.migrate.spec import Spec


def make_plan(spec: Spec, inventory: Inventory, done: Mapping[int, str] = {}, *, views: Iterable[int] = ()) -> Plan:
    """A plan without what only a live server can tell.

    done : OID -> name that the ledger says this migration gave it and that still holds. views : OIDs of its
    compatibility views, which may keep old names.
    """
    findings: list[Finding] = []
    tables = _tables(spec, inventory, done, findings)
    parts = _parts(spec, inventory, tables, done, findings)
    steps = _in_between(inventory, _conflicts(inventory, [*tables.values(), *parts], findings))
    lengths(steps, findings)
    strays(spec, inventory, steps, set(views), findings)
    gone(done, inventory, steps, findings)
    expected(spec, steps, inventory, findings)
    ordered = tuple(sorted(steps, key=lambda s: (s.group, s.unit, not s.is_table, s.oid, s.kind, s.column)))
    return Plan(spec, ordered, tuple(findings), others=_others(spec, inventory, ordered))


def _tables(spec: Spec, inventory: Inventory, done: Mapping[int, str], findings: list[Finding]) -> dict[int, Step]:
    """Steps of tables by OID: those a rule renames, and those that have their new name already."""
    known = {r.oid: r for r in inventory.relations}
    parents = {r.parent for r in inventory.relations}
    out: dict[int, Step] = {}
    for r in inventory.relations:
        unit = inventory.root(r, known).oid
        kind = _kind(r, parents)
        found = spec.match(r.name)
        if len({new for _, new in found}) > 1:
            text = f"{r.name} would become {' and '.join(sorted({n for _, n in found}))}"
            findings.append(Finding("rules", "stop", text, r.name, "make the rules exclude each other"))
        if found:
            group, new = found[0]
            out[r.oid] = Step(r.oid, kind, r.oid, r.name, new, group, unit, inventory.schema, r.owner)
        elif (group_done := spec.group_of_new(r.name)) is not None:
            evidence = "ledger" if done.get(r.oid) == r.name else "name only"
            out[r.oid] = Step(
                r.oid, kind, r.oid, r.name, r.name, group_done, unit, inventory.schema, r.owner,
                state="done", evidence=evidence,
            )  # fmt: skip
    wanted = {s.new for s in out.values() if s.state == "pending"}
    for oid in [s.oid for s in out.values() if s.evidence == "name only" and s.old in wanted]:
        del out[oid]  # not done: in the way
    pending = {s.group for s in out.values() if s.state == "pending"}
    foreign = [s.old for s in out.values() if s.kind == "foreign" and s.state == "pending"]
    if foreign and not spec.allow.foreign:
        findings.append(
            Finding("A5.18", "stop", f"{some(foreign)} are foreign tables", foreign[0], "allow: {foreign: true}")
        )
    unlogged = [known[s.oid].name for s in out.values() if known[s.oid].persistence == "u"]
    if unlogged:
        findings.append(Finding("A5.18", "note", f"{some(unlogged)} are unlogged: empty after a crash", unlogged[0]))
    strange = [s.old for s in out.values() if s.evidence == "name only" and s.group in pending]
    if strange:
        text = f"{some(strange)} have new names that this migration's ledger does not know"
        findings.append(Finding("A5.2", "warn", text, strange[0], "they count as done; nothing is known of their past"))
    alone = [s.old for s in out.values() if s.kind == "table" and s.state == "pending"]
    if alone and len(alone) < len(out):
        text = f"{len(alone)} tables stand alone, not in a partitioned table"
        findings.append(Finding("A5.4", "note", text, alone[0]))
    return out


def _kind(r: Relation, parents: set[int]) -> str:
    if r.kind == "f":
        return "foreign"
    if r.parent:
        return "partition"
    return "parent" if r.kind == "p" or r.oid in parents else "table"


def _parts(
    spec: Spec, inventory: Inventory, tables: Mapping[int, Step], done: Mapping[int, str], findings: list[Finding]
) -> list[Step]:
    """Steps of what hangs on the tables, and a note of what keeps its name."""
    out, kept, stuck = [], [], []
    by_table: dict[tuple[int, str], set[str]] = defaultdict(set)
    children: dict[int, list[int]] = defaultdict(list)
    for part in inventory.parts:
        by_table[part.table, part.kind].add(part.name)
    for r in inventory.relations:
        children[r.parent].append(r.oid)
    for part in inventory.parts:
        table = tables.get(part.table)
        if table is None:
            continue
        if done.get(part.oid) == part.name and part.kind != "comment":
            out.append(_part_step(part, table, part.name, "done"))
            continue
        old = table.old if table.state != "done" else spec.old_of(table.new) or table.new
        new = follow(part.name, old, table.new)  # a table renamed by hand left its indexes behind
        if new == part.name:
            continue
        if not spec.cascade_names:
            kept.append(part.name)
        elif part.inherited:
            parent = next((r.parent for r in inventory.relations if r.oid == part.table), 0)
            if part.name not in by_table[parent, part.kind]:
                stuck.append(part.name)
        elif part.kind == "constraint" and _differs(part, children, by_table):
            stuck.append(part.name)
        else:
            out.append(_part_step(part, table, new, "pending"))
    if kept:
        text = f"{some(kept)} keep the old word in their names"
        findings.append(Finding("A5.6", "warn", text, kept[0], "cascade_names: true renames them too"))
    if stuck:
        text = f"{some(stuck)}: inherited constraints whose names differ from the parent's cannot be renamed"
        findings.append(
            Finding("A5.6", "warn", text, stuck[0], "PostgreSQL renames inherited constraints by name only")
        )
    return out


def kept_names(inventory: Inventory, tables: Iterable[int]) -> set[int]:
    """OIDs of constraints on `tables` that only some of their partitions have, which cannot be renamed."""
    by_table: dict[tuple[int, str], set[str]] = defaultdict(set)
    children: dict[int, list[int]] = defaultdict(list)
    for part in inventory.parts:
        by_table[part.table, part.kind].add(part.name)
    for r in inventory.relations:
        children[r.parent].append(r.oid)
    mine = set(tables)
    return {
        p.oid for p in inventory.parts if p.kind == "constraint" and p.table in mine and _differs(p, children, by_table)
    }


def _differs(part: Part, children: Mapping[int, list[int]], by_table: Mapping[tuple[int, str], set[str]]) -> bool:
    """Whether some, but not all, partitions below have a constraint of this name: then a rename of it would fail."""
    have = [part.name in by_table.get((child, "constraint"), set()) for child in children.get(part.table, [])]
    return any(have) and not all(have)


def _part_step(part: Part, table: Step, new: str, state: State) -> Step:
    return Step(
        part.oid, part.kind, part.table, part.name, new, table.group, table.unit, part.schema or table.schema,
        column=part.column, state=state, evidence="ledger" if state == "done" else "",
    )  # fmt: skip


def _conflicts(inventory: Inventory, steps: list[Step], findings: list[Finding]) -> list[Step]:
    """Mark steps whose new name is another's, now or by this plan."""
    moving = {(s.space, s.old) for s in steps if s.state == "pending" and s.kind != "comment"}
    wanted = Counter((s.space, s.new) for s in steps if s.state == "pending" and s.kind != "comment")
    local = {(kind, str(p.table), p.name) for p in inventory.parts for kind in (p.kind,)}
    out = []
    for s in steps:
        state = s.state
        if state == "pending" and s.kind != "comment":
            if wanted[s.space, s.new] > 1:
                state = "conflict"
                findings.append(
                    Finding("A5.1", "stop", f"two objects would be called {s.new}", s.old, "change a rule", True)
                )
            elif (s.space, s.new) not in moving:
                holder = inventory.names.get(s.new) if s.space[0] == "relation" else None
                if s.space[0] == "relation" and holder is not None and s.schema == inventory.schema:
                    state = "conflict"
                    kind = KINDS.get(holder.kind, holder.kind)
                    what = f"{s.old} cannot become {s.new}: there is a {kind} of that name"
                    findings.append(Finding("A5.1", "stop", what, s.new, "drop it, or move it aside", True))
                elif s.space[0] != "relation" and (s.kind, str(s.table), s.new) in local:
                    state = "conflict"
                    what = f"the {s.kind} {s.old} cannot become {s.new}: there is one"
                    findings.append(Finding("A5.1", "stop", what, s.new, "drop it", True))
        out.append(replace(s, state=state))
    return out


def _in_between(inventory: Inventory, steps: list[Step]) -> list[Step]:
    """Give names in between where a new name is still a planned object's old one; units in a chain become one."""
    held = {(s.space, s.old): s for s in steps if s.state == "pending"}
    merge: dict[int, int] = {}

    def top(unit: int) -> int:
        while unit in merge:
            unit = merge[unit]
        return unit

    out = []
    for s in steps:
        holder = held.get((s.space, s.new)) if s.state == "pending" and s.kind != "comment" else None
        if holder is not None:
            a, b = sorted((top(s.unit), top(holder.unit)))
            if a != b:
                merge[b] = a
            s = replace(s, via=f"bqx_via_{s.oid}")
        out.append(s)
    return [replace(s, unit=top(s.unit)) for s in out]


def _others(spec: Spec, inventory: Inventory, steps: Iterable[Step]) -> tuple[str, ...]:
    """Tables outside the plan that carry a word the plan retires, such as volume_features_*."""
    steps = list(steps)
    planned = {s.oid for s in steps}
    words = {
        w for s in steps if s.is_table and s.state == "pending" for w in set(s.old.split("_")) - set(s.new.split("_"))
    }
    return tuple(sorted(r.name for r in inventory.relations if r.oid not in planned and words & set(r.name.split("_"))))

"""What a plan must say before it may run: names too long, strays, tables gone, counts other than declared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from bqx.store.migrate.inventory import KINDS, Inventory
from bqx.store.migrate.names import MAX_BYTES, size
from bqx.store.migrate.plan import Finding, Step
from bqx.store.migrate.spec import Spec

SHOWN = 5


def lengths(steps: list[Step], findings: list[Finding]) -> None:
    """New names that PostgreSQL would cut off (A5.8)."""
    for s in steps:
        if s.state == "pending" and s.kind != "comment" and size(s.new) > MAX_BYTES:
            what = f"{s.new} has {size(s.new)} bytes, PostgreSQL keeps {MAX_BYTES}"
            findings.append(Finding("A5.8", "stop", what, s.old, "a shorter target, or rename it by hand before"))


def strays(spec: Spec, inventory: Inventory, steps: list[Step], views: set[int], findings: list[Finding]) -> None:
    """Names that look old, and partitions of planned tables that no rule knows."""
    planned = {s.oid for s in steps} | views
    planned |= {p.oid for p in inventory.parts if p.table in planned}
    strays = []
    for name, taken in sorted(inventory.names.items()):
        if spec.stray_regex is not None and taken.oid not in planned and spec.stray_regex.search(name):
            strays.append((name, KINDS.get(taken.kind, taken.kind)))
    for r in inventory.relations:
        if r.parent in planned and r.oid not in planned and r.name not in {n for n, _ in strays}:
            strays.append((r.name, "partition"))
    open_ = [(name, kind) for name, kind in strays if name not in spec.allow.strays]
    for name, kind in open_[:SHOWN]:
        what = f"the {kind} {name} looks like an old name, but no rule renames it"
        findings.append(Finding("A5.5", "stop", what, name, "name it in allow: {strays: [...]}, or widen a rule"))
    if len(open_) > SHOWN:
        findings.append(Finding("A5.5", "stop", f"and {len(open_) - SHOWN} more of them", open_[SHOWN][0]))
    allowed = [name for name, _ in strays if name in spec.allow.strays]
    if allowed:
        findings.append(Finding("A5.5", "note", f"{some(allowed)} stay as they are, by allow.strays", allowed[0]))


def gone(done: Mapping[int, str], inventory: Inventory, steps: list[Step], findings: list[Finding]) -> None:
    """Tables the ledger renamed that are under neither name any more."""
    there = {r.oid for r in inventory.relations} | {p.oid for p in inventory.parts}
    gone = sorted(name for oid, name in done.items() if oid not in there)
    if gone:
        text = f"{some(gone)} were renamed by this migration and are gone since"
        findings.append(Finding("A5.2", "warn", text, gone[0], "a build may have replaced them; check that it did"))


def expected(spec: Spec, steps: list[Step], inventory: Inventory, findings: list[Finding]) -> None:
    """Counts of each group, equal to the specification and not merely at least that."""
    for case, what, wanted, found in counts(spec, steps):
        if wanted is not None and wanted != found:
            findings.append(
                Finding("V2", "stop", f"{case}: {found:,} {what}, expected {wanted:,}", case, "find what is missing")
            )
    if (per := spec.expect.each.partitions_per_parent) is not None:
        children = Counter(r.parent for r in inventory.relations if r.parent)
        wrong = [s for s in steps if s.kind == "parent" and children[s.oid] != per]
        for s in wrong[:SHOWN]:
            what = f"{s.old} has {children[s.oid]} partitions, expected {per}"
            findings.append(Finding("V4", "stop", what, s.old, "attach what is missing"))


def counts(spec: Spec, steps: Iterable[Step]) -> list[tuple[str, str, int | None, int]]:
    """(group or "all", what, expected, found) of tables, parents and partitions."""
    each, tables = spec.expect.each, [s for s in steps if s.is_table]
    found = Counter((s.group, s.kind) for s in tables)
    out: list[tuple[str, str, int | None, int]] = []
    for group in sorted({s.group for s in tables} | _named(spec)):
        out.append((group, "tables", each.tables, sum(n for (g, _), n in found.items() if g == group)))
        out.append((group, "parents", each.parents, found[group, "parent"]))
        out.append((group, "partitions", each.partitions, found[group, "partition"]))
    out.append(("all", "tables", spec.expect.total, len(tables)))
    return out


def _named(spec: Spec) -> set[str]:
    """Groups that the specification lists: one without a table must not pass unseen."""
    value = spec.places.get(spec.group_by)
    return set(value) if isinstance(value, tuple) else set()


def some(names: list[str]) -> str:
    """The first three, and how many more."""
    first = ", ".join(sorted(names)[:3])
    return first if len(names) <= 3 else f"{first} and {len(names) - 3} more"

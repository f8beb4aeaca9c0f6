"""What a schema holds, as far as a rename cares: tables, the things that hang on them, and all names in use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

TABLES = ("r", "p", "f")
"""relkind of table, partitioned table, foreign table."""
KINDS = {
    "r": "table",
    "p": "partitioned table",
    "f": "foreign table",
    "v": "view",
    "m": "materialised view",
    "i": "index",
    "I": "partitioned index",
    "S": "sequence",
    "c": "composite type",
    "t": "type",
}


@dataclass(frozen=True, slots=True)
class Relation:
    """A table. signature : hash of its columns' names, types and flags; parent : oid, 0 for none.

    Everything but the name must be the same after a rename; `owned` says whether this session may rename it.
    """

    oid: int
    name: str
    kind: str
    owner: str
    parent: int = 0
    bound: str = ""
    persistence: str = "p"
    filenode: int = 0
    space: int = 0
    acl: str = ""
    natts: int = 0
    signature: str = ""
    size: int = 0
    writes: int = 0
    owned: bool = True


@dataclass(frozen=True, slots=True)
class Part:
    """Something with a name of its own on table `table` (oid).

    kind : index, constraint, sequence, trigger, policy, statistics, or comment (its text stands for a name, `column`
    for what it is on). schema : where sequences and statistics live. inherited : renamed with its parent's.
    """

    oid: int
    kind: str
    name: str
    table: int
    schema: str = ""
    column: str = ""
    inherited: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """Who has a name: kind is a relkind, or t for a type."""

    oid: int
    kind: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """One reading of a schema's catalogue."""

    schema: str
    relations: tuple[Relation, ...] = ()
    parts: tuple[Part, ...] = ()
    names: Mapping[str, Taken] = field(default_factory=dict)

    def root(self, relation: Relation, known: Mapping[int, Relation]) -> Relation:
        """The topmost partitioned table that `relation` is a part of."""
        while relation.parent in known:
            relation = known[relation.parent]
        return relation

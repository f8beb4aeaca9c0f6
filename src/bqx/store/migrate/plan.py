"""The plan: what gets which name, found by OID, sorted, hashed, and written to a file people can review."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from bqx.base.atomic import write_text
from bqx.base.errors import MigrationSpecError
from bqx.store.migrate.spec import Spec

FORMAT = 1
TABLE_KINDS = ("table", "parent", "partition", "foreign", "dataset")
Level = Literal["stop", "warn", "note"]
State = Literal["pending", "done", "conflict", "missing"]


@dataclass(frozen=True, slots=True)
class Step:
    """One object and its new name.

    kind : table (stand-alone), parent, partition, foreign, dataset (lake), or a kind of `Part`. table : OID it hangs
    on, its own for tables. unit : OID of the tree's topmost table; a unit is renamed whole. via : a name in between,
    where the new one is still another planned object's. evidence : for `done`, "ledger" or "name only".
    """

    oid: int
    kind: str
    table: int
    old: str
    new: str
    group: str
    unit: int
    schema: str
    owner: str = ""
    column: str = ""
    via: str = ""
    state: State = "pending"
    evidence: str = ""

    @property
    def is_table(self) -> bool:
        return self.kind in TABLE_KINDS

    @property
    def space(self) -> tuple[str, ...]:
        """Where the name must be unique."""
        if self.kind in ("constraint", "trigger", "policy"):
            return (self.kind, str(self.table))
        if self.kind == "comment":
            return (self.kind, str(self.table), self.column)
        return ("statistics" if self.kind == "statistics" else "relation", self.schema)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something the operator must know. level : stop, warn or note; case : of the list in docs/migrate.md."""

    case: str
    level: Level
    what: str
    where: str = ""
    fix: str = ""
    conflict: bool = False


@dataclass(frozen=True)
class Plan:
    """Steps and what was seen when they were planned. `digest` covers everything but itself."""

    spec: Spec
    steps: tuple[Step, ...]
    findings: tuple[Finding, ...] = ()
    made_at: str = ""
    run_id: str = ""
    server: str = ""
    locks: Mapping[str, int] = field(default_factory=dict)
    writes: Mapping[int, int] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    direction: Literal["apply", "rollback"] = "apply"

    @property
    def migration(self) -> str:
        return self.spec.migration

    @cached_property
    def pending(self) -> tuple[Step, ...]:
        return tuple(s for s in self.steps if s.state == "pending")

    @cached_property
    def tables(self) -> tuple[Step, ...]:
        """Steps that are tables, in any state."""
        return tuple(s for s in self.steps if s.is_table)

    @cached_property
    def groups(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(s.group for s in self.steps))

    def count(self, state: State) -> int:
        return sum(s.state == state for s in self.steps)

    def stops(self) -> list[Finding]:
        return [f for f in self.findings if f.level == "stop"]

    def kinds(self) -> dict[str, int]:
        """Pending steps by kind."""
        return dict(sorted(Counter(s.kind for s in self.pending).items()))

    def _body(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "migration": self.migration,
            "direction": self.direction,
            "made_at": self.made_at,
            "run_id": self.run_id,
            "server": self.server,
            "spec": self.spec.as_dict(),
            "locks": dict(self.locks),
            "writes": {str(k): v for k, v in self.writes.items()},
            "others": list(self.others),
            "findings": [asdict(f) for f in self.findings],
            "steps": [asdict(s) for s in self.steps],
        }

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(self._body(), sort_keys=True).encode()).hexdigest()

    def text(self) -> str:
        """JSON, one line a step so that plans can be reviewed and compared."""
        body = {"plan_hash": self.digest, **self._body()}
        steps = ",\n".join(f"    {json.dumps(s)}" for s in body.pop("steps"))
        return json.dumps(body, indent=2)[:-2] + ',\n  "steps": [\n' + steps + "\n  ]\n}\n"

    def write(self, path: Path) -> None:
        write_text(path, self.text())

    @classmethod
    def parse(cls, text: str, where: str = "plan") -> Plan:
        """Read a plan; MigrationSpecError when it was edited or is none."""
        try:
            data = json.loads(text)
            if data["format"] != FORMAT:
                raise MigrationSpecError(
                    f"the plan has format {data['format']}, this bqx reads {FORMAT}", where=where, fix="plan again"
                )
            plan = cls(
                Spec.model_validate(data["spec"]),
                tuple(Step(**s) for s in data["steps"]),
                tuple(Finding(**f) for f in data["findings"]),
                data["made_at"],
                data["run_id"],
                data["server"],
                data["locks"],
                {int(k): v for k, v in data["writes"].items()},
                tuple(data["others"]),
                data["direction"],
            )
            told = data["plan_hash"]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MigrationSpecError(
                f"not a plan file: {type(error).__name__} {str(error).splitlines()[0] if str(error) else ''}".strip(),
                where=where,
                fix="make one with `bqx migrate plan SPEC -o plan.json`",
            ) from error
        if told != plan.digest:
            raise MigrationSpecError(
                f"the plan was changed: its hash is {plan.digest[:16]}, it says {str(told)[:16]}",
                where=where,
                fix="change the specification and plan again; a plan is reviewed, not edited",
            )
        return plan

"""How many locks a plan takes, how many the server has room for, and the batches that fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bqx.base.errors import PreflightError
from bqx.store.migrate.plan import Plan, Step

if TYPE_CHECKING:
    import psycopg

SHARE = 0.5
OWN = 16
"""Locks of the ledger and of the session itself."""
_SQL = """
SELECT current_setting('max_locks_per_transaction')::int
       * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int),
       (SELECT count(*) FROM pg_locks WHERE locktype = 'relation')
"""


@dataclass(frozen=True, slots=True)
class Budget:
    """Locks: room by the documented formula, held by all sessions now, and allowed for one transaction of ours."""

    capacity: int
    held: int

    @property
    def allowed(self) -> int:
        return max(0, int(self.capacity * SHARE) - self.held)


def read_budget(con: psycopg.Connection[Any]) -> Budget:
    row = con.execute(_SQL).fetchone()
    assert row is not None
    return Budget(int(row[0]), int(row[1]))


def need(steps: Sequence[Step], *, views: bool) -> int:
    """Locks of one transaction: every table, index, sequence and statistics object, and a view a table if asked."""
    locked = {s.table for s in steps} | {s.oid for s in steps if s.kind in ("index", "sequence", "statistics")}
    return len(locked) + (sum(s.is_table for s in steps) if views else 0) + OWN


def batches(plan: Plan, budget: Budget, mode: str) -> list[list[Step]]:
    """Pending steps in transactions: one if it fits or `atomic` is asked, else whole units up to the budget.

    PreflightError when what is asked does not fit: the slack beyond the documented room is not relied on.
    """
    views = plan.spec.compatibility_views
    pending = list(plan.pending)
    whole = need(pending, views=views)
    if mode == "atomic" or (mode == "auto" and whole <= budget.allowed):
        if whole > budget.allowed:
            _refuse("the plan", whole, budget, "--mode batched, or ")
        return [pending] if pending else []
    out: list[list[Step]] = []
    for unit in _units(pending):
        wanted = need(unit, views=views)
        if wanted > budget.allowed:
            _refuse(f"the unit of {unit[0].old}", wanted, budget, "")
        if out and need([*out[-1], *unit], views=views) <= budget.allowed:
            out[-1].extend(unit)
        else:
            out.append(list(unit))
    return out


def _units(steps: Sequence[Step]) -> list[list[Step]]:
    found: dict[int, list[Step]] = {}
    for step in steps:
        found.setdefault(step.unit, []).append(step)
    return list(found.values())


def _refuse(what: str, wanted: int, budget: Budget, instead: str) -> None:
    raise PreflightError(
        f"{what} needs {wanted:,} locks, half of the server's {budget.capacity:,} less {budget.held:,} held "
        f"leaves {budget.allowed:,}",
        where="A5.9",
        fix=f"{instead}raise max_locks_per_transaction (a restart) for a room of {2 * (wanted + budget.held):,}",
    )

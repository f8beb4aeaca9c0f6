"""A base as a plan is kept in one: stages, and everything that has led scripts to the wrong record."""

from __future__ import annotations

import random

from benchmarks.airtable.base import Base, Field, Table

OPTIONS = ("Todo", "In Progress", "Done", "Blocked", "Review")


def stages() -> Table:
    """The fields of the mapping that ships, and two it does not know."""
    return Table(
        "Stages",
        [
            Field("Stage ID"),
            Field("Stage Code"),
            Field("Stage Name"),
            Field("Status", "singleSelect", OPTIONS),
            Field("Duration (Hours)", "number"),
            Field("Features Added", "number"),
            Field("Outcome", "multilineText"),
            Field("Notes", "multilineText"),
            Field("Assigned To"),
            Field("Age", "formula"),
        ],
    )


def plan_base(rng: random.Random, codes: tuple[str, ...], others: int) -> Base:
    """Records of `codes`; `others` more; and look-alikes: codes inside others, with spaces, in other case, without."""
    table = stages()
    rows = [{"Stage Code": f"BQX-{code}", "Stage ID": f"{code} - stage", "Status": "Todo"} for code in codes]
    rows += [{"Stage Code": f"BQX-7.{n}.{n % 10}", "Status": "In Progress", "Notes": "keep"} for n in range(others)]
    for code in codes:
        looks = (f"BQX-{code} ", f" BQX-{code}", f"bqx-{code}", code, f"BQX-{code}x", f"BQX-BQX-{code}", f"BQX-{code}'")
        rows += [{"Stage Code": look, "Status": "Todo", "Assigned To": "somebody"} for look in looks]
    rows += [{"Stage ID": "no code"} for _ in range(5)]
    rng.shuffle(rows)
    for row in rows:
        table.add(row)
    return Base({"Stages": table})

"""What the catalogue says of the plan: fingerprint, datasets, columns and partitions of each stage."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache

from bqx.features.catalogue import own_datasets
from bqx.features.declare import Dataset
from bqx.ops.plan.model import Plan


def fingerprint(homes: Iterable[Dataset]) -> str:
    """Of what a plan rests on: datasets, their stages and flags, and the names of their columns."""
    digest = hashlib.sha256()
    for home in sorted(homes, key=lambda h: h.name):
        names = ",".join(c.name for c in home.columns)
        digest.update(f"{home.name}|{home.stage}|{home.counted}|{home.inherited}|{home.laggable}|{names}\n".encode())
    return digest.hexdigest()[:16]


@lru_cache(maxsize=1)
def own_fingerprint() -> str:
    """Of the catalogue that comes with this bqx; families of users do not move it."""
    return fingerprint(own_datasets().values())


def homes_of(stage: str) -> list[Dataset]:
    """Our datasets that a stage builds, in the order they are built."""
    return [home for home in own_datasets().values() if home.stage == stage]


def columns_in(homes: Sequence[Dataset]) -> int:
    """Counted columns."""
    return sum(len(home.columns) for home in homes if home.counted)


def partitions_in(plan: Plan, homes: Sequence[Dataset]) -> int:
    """Partitions of the datasets over the plan's pairs and months."""
    return len(homes) * plan.pairs * plan.months


def stale(plan: Plan) -> str | None:
    """Why the plan no longer fits the catalogue, None while it does."""
    if not plan.catalogue or plan.catalogue == own_fingerprint():
        return None
    return f"made from catalogue {plan.catalogue}, this bqx has {own_fingerprint()}"

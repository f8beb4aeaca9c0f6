"""Names of exit criteria that a machine can check; `bqx.ops.stages.checks` holds the checks."""

from __future__ import annotations

from collections.abc import Collection

from bqx.base.errors import PlanError

CRITERIA = {
    "no-legacy-names": "no dataset of the store has a name of the old convention",
    "values-as-declared": "every column has as many values as calendar, bars and warm-up allow, counted twice",
    "stage ID": "the named stage is validated by evidence that still holds",
    "bars PAIR": "the pair has bars",
    "verified": "`bqx build verify` finds no problem",
}


def parse_criterion(text: str, stages: Collection[str], where: str) -> tuple[str, str]:
    """Name and argument of a machine check; raises PlanError for an unknown check, stage or pair.

    >>> parse_criterion("stage 1.6.9", ["1.6.9"], "here")
    ('stage', '1.6.9')
    """
    name, _, argument = text.partition(" ")
    known = {key.partition(" ")[0]: key for key in CRITERIA}
    if name not in known or (" " in known[name]) != bool(argument):
        raise PlanError(f"{text!r} is no machine check", where=where, fix=f"one of {', '.join(CRITERIA)}")
    if name == "stage" and argument not in stages:
        raise PlanError(f"unknown stage {argument!r} in {text!r}", where=where)
    if name == "bars":
        from bqx.market.pairs import parse_pair

        argument = parse_pair(argument).name
    return name, argument

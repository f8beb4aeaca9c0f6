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
    "dataset": "a dataset of 2,640 candidates passed L1 to L13",
    "selection": "a selection has exactly 250 columns a pair and fold, at least 100 of each domain",
    "run": "a training run is finished and its skill has intervals",
    "artefacts": "every pair of the project has a signed model that loads",
    "traceable": "every run names data, columns and code by hash, and trials are in the ledger",
    "tuned": "a study of 50 trials is better than the default by a Diebold-Mariano test",
    "registered": "every pair has a model in the registry, and what serves rose by all gates",
    "evidence KIND": "good evidence of GATE7 or GATE8 for every pair's newest model",
    "context KIND": "the build context of an image in containers/KIND is whole and holds no secret",
    "evaluated": "a finished run has an evaluation that is not kept back",
    "backtested": "a finished run was traded on history",
    "paper": "a paper book has 60 trade days and the trades of the backtest",
    "monitored": "the monitors looked, and what is served is what is computed",
    "alerted": "an alert was delivered",
    "served": "the API has answered, without an error of its own",
    "api-key": "the API has a key that is not revoked",
    "approval ID": "an approval of that id is on record (`bqx stage add`)",
}
KINDS = {
    "evidence": ("cost", "load", "monitors", "parity", "rollback", "runbooks", "security"),
    "context": ("processing", "training", "inference"),
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
    if name in KINDS and argument not in KINDS[name]:
        raise PlanError(f"unknown {name} {argument!r}", where=where, fix=f"one of {', '.join(KINDS[name])}")
    if name == "bars":
        from bqx.market.pairs import parse_pair

        argument = parse_pair(argument).name
    return name, argument

"""Machine checks of Phases 2 and 3: what a project holds, looked at anew, and what the finding rests on.

A check reads; it trains and serves nothing. What it rests on is named by `file:PATH` or `registry:GATE/KIND` with a
hash, so that evidence no longer holds when one of them has changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bqx.base.errors import BqxError
from bqx.ops.stages.counting import Check

if TYPE_CHECKING:
    from bqx.build.project import Project
    from bqx.research.dataset import Dataset
    from bqx.research.registry.model import Model
    from bqx.research.registry.store import Registry
    from bqx.research.training.folder import Run

LEAKAGE = tuple(f"L{k}" for k in range(1, 14))
BUDGET, QUOTA, TRIALS, PAPER_DAYS = 250, 100, 50, 60
"""Columns of a selection, and of each domain at least; trials of a tuning; trade days of paper trading."""
Rests = dict[str, str]
Found = tuple[list[Check], Rests]


def task_check(project: Project, name: str, argument: str) -> Found:
    """The checks that a criterion stands for, and what they rest on."""
    return _CHECKS[name](project, argument)


def changed(project: Project, rests: Mapping[str, str]) -> str | None:
    """The first thing that evidence rests on and that is not as it was, None when all is."""
    for name, before in rests.items():
        kind, _, what = name.partition(":")
        if kind == "file":
            now = _file(project.root / what)
        else:
            now = _states(project) if what == "states" else _handed(project, *what.split("/"))
        if now != before:
            return f"{what} is {'gone' if not now else 'another'}"
    return None


def _one(what: str, query: str, good: bool | int, expected: int = 1) -> Check:
    return Check(query.split(" ")[0], what, query, expected, int(good))


def dataset(project: Project, _: str) -> Found:
    """A dataset of 2,640 candidates on which L1 to L13 were run and passed."""
    from bqx.research.candidates import COUNT
    from bqx.research.leakage.record import NAME, recorded

    rests: Rests = {}
    best = (0, "no dataset is made: `bqx dataset make`", 0)
    for found in _datasets(project):
        record = recorded(found.folder, found.hash)
        passed = {r["test"] for r in record["results"] if r["ok"]} if record else set()
        count = len(passed & set(LEAKAGE))
        words = f"leakage tests of dataset {found.name} that passed"
        words = words if record else f"{found.name} was not checked for leaks"
        if count >= best[0]:
            best = (count, words, len(found.candidates))
            rests = _files(project, found.folder / "manifest.json", found.folder / NAME)
    checks = [Check("dataset", best[1], "bqx dataset check", len(LEAKAGE), best[0]),
              Check("candidates", "candidates of the dataset", "bqx dataset show", COUNT, best[2])]  # fmt: skip
    return checks, rests


def selection(project: Project, _: str) -> Found:
    """A selection with exactly 250 columns a pair and fold, at least 100 of each domain."""
    from bqx.research.selection.run import FOLDER, MANIFEST, open_selection, selections
    from bqx.research.training.masks import from_selection

    for name in reversed(selections(project.root)):
        made = open_selection(project, name)
        home = next((d for d in _datasets(project) if d.hash == made["dataset_hash"]), None)
        if home is None:
            continue
        folds = [f.number for f in home.splits.folds()]
        try:
            masks = from_selection(home, name, home.pairs, folds)
        except BqxError as error:
            return [_one(f"selection {name}: {error.what}", "bqx select show", False)], {}
        each = [[masks.candidates[k].signal_domain for k in numbers] for numbers in masks.held.values()]
        cells = len(home.pairs) * len(folds)
        checks = [
            Check("masks", f"masks of selection {name}, a pair and fold", "bqx select show", cells, len(each)),
            Check("columns", "columns of all masks", "selected rows of the masks", cells * BUDGET, sum(map(len, each))),
            Check("quotas", f"masks with {QUOTA} or more of each domain", "signal_domain of the masks", cells,
                  sum(min(d.count("rate"), d.count("bqx")) >= QUOTA for d in each)),
        ]  # fmt: skip
        return checks, _files(project, project.root / FOLDER / name / MANIFEST)
    return [_one("no finished selection of a dataset that is there: `bqx select run`", "bqx select list", False)], {}


def run(project: Project, _: str) -> Found:
    """A finished training run whose skill has an interval."""
    for found in _done(project):
        scores = found.head["result"].get("scores") or []
        ranged = sum(s["low"] is not None and s["high"] is not None for s in scores)
        if scores and ranged == len(scores):
            text = f"figures of run {found.name} with an interval, all of them"
            check = Check("run", text, "bqx runs show", len(scores), ranged)
            return [check], _files(project, found.folder / "run.json")
    return [_one("no finished run has skill with intervals: `bqx train`", "bqx runs list", False)], {}


def artefacts(project: Project, _: str) -> Found:
    """A signed model of every pair of the project, each loaded and verified."""
    from bqx.research.artefact import Artefact

    best: dict[str, Path] = {}
    for found in _done(project):
        mine = {p: found.artefact(p) for p in found.pairs if (found.artefact(p) / "manifest.json").is_file()}
        best = {**mine, **best}
    good = 0
    for folder in best.values():
        try:
            Artefact.load(folder, project.root)
        except BqxError:
            continue
        good += 1
    what = "pairs of the project with a signed model that loads"
    rests = _files(project, *(folder / "manifest.json" for folder in best.values()))
    return [Check("artefacts", what, "bqx models add", len(project.pairs), good)], rests


def traceable(project: Project, _: str) -> Found:
    """Every run names data, columns and code by hash, and its dataset is still that one; trials are in the ledger."""
    from bqx.research.training.folder import runs
    from bqx.research.trials import Trials

    every = runs(project)
    hashes = {d.name: d.hash for d in _datasets(project)}
    known = [r for r in every if hashes.get(r.head["dataset"]) == r.head["dataset_hash"]]
    good = sum(bool(r.head["mask"]["digest"] and r.head["code_version"]) for r in known)
    trials = Trials(project.root).count() if (project.root / "research.sqlite").is_file() else 0
    checks = [
        Check("traceable", "runs whose data, columns and code have a hash", "bqx runs list", max(len(every), 1), good),
        _one(f"whether the ledger has trials: {trials:,}", "research.sqlite", trials > 0),
    ]
    return checks, _files(project, *(r.folder / "run.json" for r in every))


def tuned(project: Project, _: str) -> Found:
    """A study of 50 trials whose best set is better than the default by a Diebold-Mariano test."""
    from bqx.research.tuning.run import FOLDER, RESULT

    best: tuple[int, bool, Path] | None = None
    for path in sorted((project.root / FOLDER).glob(f"*/{RESULT}")):
        data = _read(path)
        found = (int(data["trials"]), bool(data["better"]), path)
        best = max(best, found, key=lambda b: (b[1], b[0])) if best else found
    if best is None:
        return [_one("no study: `bqx tune`", "tuning/*/result.json", False)], {}
    enough = f"whether study {best[2].parent.name} has {TRIALS} trials or more: {best[0]}"
    better = "whether the tuned set is better than the default"
    checks = [
        _one(enough, "tuning/*/result.json", best[0] >= TRIALS),
        _one(better, "Diebold-Mariano on the last inner fold", best[1]),
    ]
    return checks, _files(project, best[2])


def registered(project: Project, _: str) -> Found:
    """A model of every pair in the registry; all that serve passed the eight gates."""
    registry = _registry(project)
    models = registry.models() if registry else []
    serving = [m for m in models if m.state == "production"]
    passed = 0
    for m in serving:
        risen = [c["gates"] for c in registry.changes(m) if c["after"] == "production"] if registry else []
        passed += bool(risen) and [g["verdict"] for g in risen[-1]] == ["pass"] * 8
    have = len({m.pair for m in models} & set(project.pairs))
    checks = [
        Check(
            "registered", "pairs of the project with a registered model", "bqx models list", len(project.pairs), have
        ),
        Check("gates", "models in production that rose by all eight gates", "bqx models show", len(serving), passed),
    ]
    return checks, {"registry:states": _states(project)} if registry else {}


def evidence(project: Project, kind: str) -> Found:
    """Good evidence of a kind for every pair's newest model that is not archived."""
    gate = _gate(kind)
    registry = _registry(project)
    newest = _newest(registry) if registry else {}
    good = 0
    for model in newest.values():
        held = registry.evidence(gate, model.digest).get(kind) if registry else None
        good += bool(held and held["ok"])
    text = f"newest models with good evidence of {kind} ({gate})"
    check = Check(f"evidence {kind}", text, f"bqx models evidence {kind}", max(len(newest), 1), good)
    return [check], {f"registry:{gate}/{kind}": _handed(project, gate, kind)}


def context(project: Project, kind: str) -> Found:
    """The build context of an image in containers/KIND of the project: whole, unchanged, without a secret."""
    from bqx.ops.container.context import CARD, check_context

    folder = project.root / "containers" / kind
    command = f"python -m bqx.ops.container context --kind {kind} --out containers/{kind}"
    if not (folder / CARD).is_file():
        return [_one(f"no context of the image {kind}", command, False)], {}
    try:
        card = check_context(folder)
    except BqxError as error:
        return [_one(f"the context of {kind}: {error.what}", command, False)], {}
    return [_one(f"context of bqx-{kind} that is whole", command, card["kind"] == kind)], _files(project, folder / CARD)


def evaluated(project: Project, _: str) -> Found:
    return _judged(project, "evaluation.json", "bqx evaluate")


def backtested(project: Project, _: str) -> Found:
    return _judged(project, "backtest.json", "bqx backtest")


def paper(project: Project, _: str) -> Found:
    """A paper book of 60 trade days whose entries are those of the backtest."""
    best: tuple[int, bool, Path] | None = None
    for path in sorted((project.root / "paper").glob("*/paper.json")):
        result = _read(path).get("result")
        if result:
            found = (int(result["edge"]["days"]), bool(result["reconciled"]["equal"]), path)
            best = max(best, found, key=lambda b: (b[0], b[1])) if best else found
    if best is None:
        return [_one("no paper book: `bqx paper run`", "paper/*/paper.json", False)], {}
    checks = [_one(f"whether a book has {PAPER_DAYS} trade days: {best[0]}", "bqx paper run", best[0] >= PAPER_DAYS),
              _one("whether its trades are those of the backtest", "bqx paper run", best[1])]  # fmt: skip
    return checks, _files(project, best[2])


def monitored(project: Project, _: str) -> Found:
    """A look of the monitors in which nothing that is served differs from what is computed."""
    from bqx.serve.monitor.run import LATEST, read_latest

    try:
        look = read_latest(project.root)
    except BqxError as error:
        return [_one(error.what, "bqx monitor run", False)], {}
    bad = [f["key"] for f in look["findings"] if f["check"] in ("parity", "monitor")]
    what = "findings of parity, or of a monitor that failed"
    checks = [_one(f"a look of the monitors, at {look['at']}", "bqx monitor run", True),
              Check("parity", what, "monitor/latest.json", 0, len(bad))]  # fmt: skip
    return checks, _files(project, project.root / LATEST)


def alerted(project: Project, _: str) -> Found:
    """An alert was delivered at least to the file."""
    path = project.root / "monitor" / "alerts.jsonl"
    lines = len(path.read_text("utf-8").splitlines()) if path.is_file() else 0
    return [_one(f"whether an alert was delivered: {lines}", "monitor/alerts.jsonl", lines > 0)], {}


def served(project: Project, _: str) -> Found:
    """The prediction API has answered, and never with an error of its own, since it was last started."""
    path = project.root / "serve" / "status.json"
    if not path.is_file():
        return [_one("the API was never served: `bqx serve`", "serve/status.json", False)], {}
    requests = _read(path)["latency"]["requests"]
    good, bad = requests.get("2xx", 0), requests.get("5xx", 0)
    checks = [_one(f"whether the API has answered: {good:,}", "serve/status.json", good > 0),
              Check("errors", "answers that were errors of the server", "serve/status.json", 0, bad)]  # fmt: skip
    return checks, {}


def api_key(project: Project, _: str) -> Found:
    """Somebody can ask the API: it has a key that is not revoked."""
    from bqx.serve.api.keys import FILE, Keys

    keys = Keys(project.root).list() if (project.root / FILE).is_file() else []
    active = sum(k.revoked_at is None for k in keys)
    return [_one(f"whether there is an API key: {active}", "bqx serve keys list", active > 0)], {}


def approval(project: Project, ident: str) -> Found:
    """Somebody signed: the approval is on record."""
    from bqx.ops.plan.read import load_plan
    from bqx.ops.stages.register import rows_of
    from bqx.ops.stages.state import PlanState

    with PlanState.existing(project.root) as state:
        found = [row for row in rows_of(load_plan(), state, "approval") if row["id"] == ident]
    return [_one(f"approval {ident!r} on record", "bqx stage add", bool(found))], {}


_CHECKS: dict[str, Callable[[Any, str], Found]] = {
    "dataset": dataset, "selection": selection, "run": run, "artefacts": artefacts, "traceable": traceable,
    "tuned": tuned, "registered": registered, "evidence": evidence, "context": context, "evaluated": evaluated,
    "backtested": backtested, "paper": paper, "monitored": monitored, "alerted": alerted, "served": served,
    "api-key": api_key, "approval": approval,
}  # fmt: skip
NAMES = frozenset(_CHECKS)


def _judged(project: Project, name: str, command: str) -> Found:
    """A finished run with a result of that very run that is not kept back."""
    for found in _done(project):
        path = found.folder / name
        data = _read(path) if path.is_file() else {}
        if data.get("run_hash") == found.hash and not data.get("quarantined"):
            rests = _files(project, path, found.folder / "run.json")
            return [_one(f"{name} of run {found.name}", command, True)], rests
    return [_one(f"no finished run has a {name} of its own: `{command}`", command, False)], {}


def _datasets(project: Project) -> Iterator[Dataset]:
    from bqx.research.dataset import Dataset, names

    for name in names(project.root):
        yield Dataset.open(project, name)


def _done(project: Project) -> Iterator[Run]:
    """Finished runs, the latest name first."""
    from bqx.research.training.folder import runs

    yield from (r for r in reversed(runs(project)) if r.state == "done" or (r.state == "quarantined" and r.signed))


def _registry(project: Project) -> Registry | None:
    """None where there is none: looking makes nothing."""
    from bqx.research.registry.store import NAME, Registry

    return Registry(project.root) if (project.root / NAME).is_file() else None


def _newest(registry: Registry) -> dict[str, Model]:
    return {m.pair: m for m in registry.models() if m.state != "archived"}


def _gate(kind: str) -> str:
    from bqx.research.registry.gates import SERVICE

    return "GATE7" if kind in SERVICE else "GATE8"


def _handed(project: Project, gate: str, kind: str) -> str:
    """A hash of the newest evidence of a kind for the newest models, "" when there is none."""
    registry = _registry(project)
    held = [
        (pair, found["id"], found["ok"])
        for pair, model in sorted(_newest(registry).items() if registry else ())
        if registry and (found := registry.evidence(gate, model.digest).get(kind))
    ]
    return hashlib.sha256(json.dumps(held).encode()).hexdigest()[:32] if held else ""


def _states(project: Project) -> str:
    """A hash of which models there are and in which state, "" without a registry."""
    registry = _registry(project)
    rows = [(m.name, m.digest, m.state) for m in registry.models()] if registry else []
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:32] if rows else ""


def _files(project: Project, *paths: Path) -> Rests:
    return {f"file:{p.relative_to(project.root).as_posix()}": _file(p) for p in paths if p.is_file()}


def _file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:32] if path.is_file() else ""


def _read(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return data

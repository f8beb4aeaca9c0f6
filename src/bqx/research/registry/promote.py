"""Register what a run made; let models rise when their gates have passed, and only then."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bqx.base.errors import PromotionRefused, UsageError
from bqx.base.runlog import event
from bqx.research.artefact import Artefact
from bqx.research.registry.evidence import Evidence
from bqx.research.registry.gates import RESEARCH_GATES, Gate, judge
from bqx.research.registry.model import Model, State
from bqx.research.registry.store import Registry
from bqx.research.training.folder import Run
from bqx.research.training.quarantine import check_quarantine

FACTS = ("window", "horizons", "recipe", "mask", "dataset", "dataset_hash", "lag_profile", "catalogue_version",
         "code_version", "libraries", "plug_in")  # fmt: skip
NEXT: dict[State, State] = {"pending": "approved", "approved": "production"}


def add_run(registry: Registry, run: Run, pairs: Sequence[str] | None = None) -> list[Model]:
    """Register the artefacts of a run as pending, each loaded and verified first; known ones are given back.

    Raises QuarantinedError for a quarantined run that nobody signed, ArtefactError for what cannot be trusted.
    """
    check_quarantine(run)
    wanted = list(pairs or run.pairs)
    if unknown := [p for p in wanted if p not in run.pairs]:
        raise UsageError(f"run {run.name} has no pair {unknown[0]!r}", fix=f"it has {', '.join(run.pairs)}")
    loaded = {pair: Artefact.load(run.artefact(pair), registry.root) for pair in wanted}
    out = []
    for pair, artefact in loaded.items():
        if artefact.manifest["run_hash"] != run.hash or artefact.pair != pair:
            raise UsageError(f"the artefact of {pair} is not of run {run.name}", fix="train the run again")
        out.append(
            registry.add(
                pair=pair,
                digest=artefact.digest,
                path=run.artefact(pair).relative_to(registry.root).as_posix(),
                run=run.name,
                run_hash=run.hash,
                simulated=artefact.simulated,
                facts={k: artefact.manifest[k] for k in FACTS if k in artefact.manifest},
            )
        )
    return out


def promotable(registry: Registry, model: Model) -> tuple[State, list[Gate]]:
    """The next state and the gates as they stand; UsageError for a model that cannot rise."""
    if model.state not in NEXT:
        raise UsageError(f"{model.name} is {model.state}, there is nothing to promote it to")
    return NEXT[model.state], judge(Evidence(registry, model))


def promote(
    registry: Registry, model: Model, *, who: str, reason: str, dry_run: bool = False
) -> tuple[Model, list[Gate]]:
    """One step up: GATE1 to GATE6 for approval, all eight for production.

    PromotionRefused names every gate in the way; a gate without evidence is in the way. The artefact is verified again.
    """
    after, gates = promotable(registry, model)
    _named(who, reason)
    asked = [g for g in gates if after == "production" or g.name in RESEARCH_GATES]
    if bad := [g for g in asked if not g.passed]:
        words = "; ".join(f"{g.name} {g.title}: {g.verdict}, {g.reason} ({g.source})" for g in bad)
        raise PromotionRefused(f"{model.name} stays {model.state}: {words}", where=f"run {model.run}")
    artefact = Artefact.load(registry.root / model.path, registry.root)
    artefact.check_catalogue()
    if artefact.digest != model.digest:
        raise PromotionRefused(f"the artefact of {model.name} is not the one registered", where=model.path)
    if dry_run:
        return model, gates
    moved = registry.move(model, after, who=who, reason=reason, gates=[g.as_dict() for g in gates])
    event("models.moved", model=model.name, before=model.state, after=after, who=who)
    return moved, gates


def archive(registry: Registry, model: Model, *, who: str, reason: str) -> Model:
    """Take a model out; the pair is served research forecasts, and HOLD, until another one rises."""
    _named(who, reason)
    if model.state == "archived":
        raise UsageError(f"{model.name} is archived already")
    moved = registry.move(model, "archived", who=who, reason=reason, gates=[])
    event("models.moved", model=model.name, before=model.state, after="archived", who=who)
    return moved


def restore(registry: Registry, model: Model, *, who: str, reason: str) -> Model:
    """Roll back: an archived model that once served its pair serves it again; the gates it passed then stand.

    UsageError when it never was in production.
    """
    _named(who, reason)
    if model.state != "archived" or not any(c["after"] == "production" for c in registry.changes(model)):
        raise UsageError(f"{model.name} did not serve {model.pair} before", fix="`bqx models show` tells its history")
    Artefact.load(registry.root / model.path, registry.root).check_catalogue()
    passed = next(c["gates"] for c in reversed(registry.changes(model)) if c["after"] == "production")
    moved = registry.move(model, "production", who=who, reason=reason, gates=passed)
    event("models.moved", model=model.name, before="archived", after="production", who=who)
    return moved


def artefact_folder(registry: Registry, model: Model) -> Path:
    return registry.root / model.path


def _named(who: str, reason: str) -> None:
    if not who.strip() or not reason.strip():
        raise UsageError("a change of a model needs a name and a reason", fix="--by NAME --reason WHY")

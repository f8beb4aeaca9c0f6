"""A causality run from series to links: one family of questions, finished parts kept, the same on any machine."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bqx.research.causality.answer import Answer
from bqx.research.causality.kind_run import Features, KindRun
from bqx.research.causality.links import Link, link_table, passes, rates
from bqx.research.causality.parts import Parts, Tell
from bqx.research.causality.series import Series, from_project
from bqx.research.causality.settings import Settings
from bqx.research.trials import Trial, Trials

if TYPE_CHECKING:
    from bqx.build.project import Project

FOLDER = Path("research") / "causality"


@dataclass(frozen=True)
class Causality:
    """A finished run. kinds : for each kind of series its splits in words, folds, series left out, stationarity, share
    of carried steps, and what transfer entropy was given. seconds : core seconds of all parts, whenever they were made.
    """

    settings: Settings
    links: tuple[Link, ...]
    kinds: Mapping[str, dict[str, Any]]
    simulated: bool
    seconds: float = field(compare=False, default=0.0)
    elapsed: float = field(compare=False, default=0.0)

    @property
    def kept(self) -> list[Link]:
        return [link for link in self.links if link.kept]

    def as_dict(self) -> dict[str, Any]:
        return {
            "settings": self.settings.as_dict(),
            "digest": self.settings.digest,
            "simulated": self.simulated,
            "kinds": dict(self.kinds),
            "seconds": round(self.seconds, 1),
            "elapsed": round(self.elapsed, 1),
            "links": [link.as_dict() for link in self.links],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Causality:
        links = tuple(Link(**link) for link in data["links"])
        return cls(Settings.from_dict(data["settings"]), links, data["kinds"], data["simulated"], data["seconds"],
                   data["elapsed"])  # fmt: skip


def run(project: Project, settings: Settings, *, workers: int = 1, tell: Tell | None = None) -> Causality:
    """Run on a project's bars, or go on with it; a row of the trial ledger for each method and kind."""
    from bqx.research.causality.feature_series import features_at

    as_of, columns = settings.known_at, settings.features
    series = from_project(project, settings.kinds, settings.pairs, settings.start, settings.end, as_of)
    parts = Parts(project.root / FOLDER / settings.digest / "parts", settings.digest)
    found = run_series(
        series,
        settings,
        parts,
        features=lambda pair, rows: features_at(project, pair, columns, rows, as_of),
        workers=workers,
        tell=tell,
        simulated=project.simulated,
    )
    Trials(project.root).record(trials_of(found))
    return found


def no_features(pair: str, rows: Series) -> dict[str, Any]:
    """For runs without any."""
    return {}


def run_series(
    series: Sequence[Series],
    settings: Settings,
    parts: Parts,
    *,
    features: Features = no_features,
    workers: int = 1,
    tell: Tell | None = None,
    simulated: bool = False,
) -> Causality:
    """The run itself. Linear algebra has one thread: its last bits must not depend on the cores; `workers` are threads
    over targets."""
    from threadpoolctl import threadpool_limits

    began = time.perf_counter()
    with threadpool_limits(limits=1):
        kinds = [KindRun(s, settings, features, parts, workers, tell) for s in series]
        for kind in kinds:
            kind.run()
        answers = [a for kind in kinds for a in kind.answers]
        for kind, passed in _passed(kinds, answers, settings):
            kind.confirm(passed)
        confirmations = {q: p for kind in kinds for q, p in kind.confirmations.items()}
        links = tuple(link_table(answers, confirmations, settings.q, settings.support))
    told = {kind.kind: _told(kind) for kind in kinds}
    return Causality(settings, links, told, simulated, parts.seconds, time.perf_counter() - began)


def _passed(kinds: Sequence[KindRun], answers: Sequence[Answer], s: Settings) -> list[tuple[KindRun, list[Answer]]]:
    _, by = rates(answers)
    through = [a for a, q in zip(answers, by, strict=True) if a.method == "te" and passes(a, q, s.q)]
    return [(kind, [a for a in through if a.series == kind.kind]) for kind in kinds]


def _told(kind: KindRun) -> dict[str, Any]:
    return {
        "splits": kind.text,
        "folds": [asdict(f) for f in kind.folds],
        "every": kind.series.every,
        "steps": len(kind.series.minute),
        "left_out": list(kind.dropped),
        "carried": dict(zip(kind.series.names, kind.series.carried, strict=False)),
        "stationarity": kind.stationary,
        "te": None if kind.plan is None else asdict(kind.plan),
    }


def trials_of(found: Causality) -> list[Trial]:
    """What was tried: one trial a method and kind, its score the number of links kept."""
    s = found.settings
    out = []
    for method in s.methods:
        for kind in s.kinds:
            mine = [link for link in found.links if (link.method, link.series) == (method, kind)]
            parameters = {"digest": s.digest, "q": s.q, "support": s.support, "start": s.start, "end": s.end}
            parameters |= {"max_order": s.max_order} if method == "granger" else {"budget": s.budget}
            out.append(
                Trial(
                    kind="causality", model=method, parameters=parameters, feature_set=s.digest, columns=len(mine),
                    target=kind, seed=s.seed, score=float(sum(link.kept for link in mine)), score_name="links kept",
                )
            )  # fmt: skip
    return out

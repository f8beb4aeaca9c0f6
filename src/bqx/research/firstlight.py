"""The honest first answer: a ridge forecast, walk-forward, against the random walk and against noise."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CheckError
from bqx.market.calendar import datetime_of
from bqx.research.fold import NOISE_BLOCK, Fold, noise_signs
from bqx.research.matrix import Matrix, from_project
from bqx.research.ridge import PENALTIES
from bqx.research.skill import DRAWS, NO_SKILL, Skill, skill_of, summary
from bqx.research.splits import plan_splits
from bqx.research.trials import Trial, Trials

if TYPE_CHECKING:
    from bqx.build.project import Project

F8 = NDArray[np.float64]
NOISE_TARGETS = 40


@dataclass(frozen=True)
class FirstAnswer:
    """Skill by horizon and pooled (the endpoint fixed beforehand), and all that is needed to read it."""

    horizons: tuple[Skill, ...]
    pooled: Skill
    pairs: tuple[str, ...]
    columns: int
    first: str
    last: str
    every: int
    folds: int
    splits: str
    trials: int
    penalties: tuple[tuple[float, ...], ...]
    rows: int
    dropped_features: int
    dropped_labels: int
    simulated: bool
    notes: tuple[str, ...]

    def verdict(self) -> str:
        """One sentence; says "no demonstrated skill" unless the pooled interval lies above 0."""
        return summary(self.horizons, self.pooled)

    def as_dict(self) -> dict[str, Any]:
        table = [s.as_dict() for s in self.horizons]
        return {
            **asdict(self),
            "horizons": table,
            "pooled": self.pooled.as_dict(),
            "verdict": self.verdict(),
            "target": "M_h(t + h) / sigma(t), window = horizon; the random walk forecasts 0",
        }


def answer(project: Project, *, start: int | None = None, end: int | None = None, seed: int = 0) -> FirstAnswer:
    """First answer from a project's store; raises CheckError with what is needed when there is too little."""
    matrix = from_project(
        project.bars,
        project.store,
        project.calendar,
        pairs=project.pairs,
        start=start,
        end=end,
        as_of=project.as_of,
    )
    found = first_answer(matrix, seed=seed)
    Trials(project.root).record(_tried(found, seed))
    return found


def _tried(found: FirstAnswer, seed: int) -> list[Trial]:
    """Every penalty of every horizon and fold."""
    set_name = f"first answer, {found.first} to {found.last}, {len(found.pairs)} pairs"
    return [
        Trial("forecast", "pooled ridge", {"penalty": p}, set_name, found.columns, pair="all", fold=str(fold),
              target=f"y3_{s.horizon}_{s.horizon}", seed=seed)
        for fold in range(found.folds) for s in found.horizons for p in PENALTIES
    ]  # fmt: skip


def first_answer(m: Matrix, *, seed: int = 0, noise: int = NOISE_TARGETS, draws: int = DRAWS) -> FirstAnswer:
    """Ridge of Y_h on X, pooled over pairs, for each horizon; everything fitted inside the training folds.

    Linear algebra runs on one thread: its last bits, and so those of the skill, must not depend on the cores.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        return _first_answer(m, seed, noise, draws)


def _first_answer(m: Matrix, seed: int, noise: int, draws: int) -> FirstAnswer:
    complete = np.asarray(np.isfinite(m.X).all(axis=2), dtype=np.bool_)
    usable = complete & np.asarray(np.isfinite(m.Y).all(axis=2), dtype=np.bool_)
    live = np.flatnonzero(usable.any(axis=1))
    longest = max(m.horizons)
    span = int(m.position[live[-1]] - m.position[live[0]]) + 1 if len(live) else 0
    splits, text = plan_splits(span, longest)
    block, signs = noise_signs(m.position, noise, seed)
    tables: list[list[F8]] = [[] for _ in m.horizons]
    noisy = np.zeros((len(m.horizons), noise, 2))
    penalties = []
    for train, test in splits.split(m.position[live]):
        fold = Fold(m, usable, live[train], live[test], splits.embargo, block, signs)
        chosen = []
        for k in range(len(m.horizons)):
            table, noise_sums, penalty = fold.run(k)
            tables[k].append(table)
            noisy[k] += noise_sums
            chosen.append(penalty)
        penalties.append(tuple(chosen))
    if not penalties:
        raise CheckError("no fold has both training and test rows", fix="give a longer history")
    legs = max(len({c for p in m.pairs for c in (p[:3], p[3:])}) - 1, 1)
    shape = {"every": m.every, "legs": min(legs, len(m.pairs)), "pairs": len(m.pairs), "draws": draws}
    parts = []
    for k, h in enumerate(m.horizons):
        scores = 1.0 - noisy[k, :, 0] / noisy[k, :, 1]
        parts.append(skill_of(np.concatenate(tables[k]), scores, horizon=h, longest=h, seed=seed, **shape))
    together = np.sum([np.concatenate(t) for t in tables], axis=0)
    total = noisy.sum(axis=0)
    scores = 1.0 - total[:, 0] / total[:, 1]
    pooled = skill_of(together, scores, horizon=None, longest=longest, seed=seed, layers=len(m.horizons), **shape)
    if pooled.verdict == NO_SKILL:
        parts = [replace(part, gated=True) for part in parts]
    return FirstAnswer(
        horizons=tuple(parts),
        pooled=pooled,
        pairs=m.pairs,
        columns=len(m.columns),
        first=datetime_of(int(m.minute[live[0]])).isoformat(),
        last=datetime_of(int(m.minute[live[-1]])).isoformat(),
        every=m.every,
        folds=len(penalties),
        splits=text,
        trials=len(PENALTIES) * len(m.horizons) * len(penalties),
        penalties=tuple(penalties),
        rows=int(complete.size),
        dropped_features=int((~complete).sum()),
        dropped_labels=int((complete & ~usable).sum()),
        simulated=m.simulated,
        notes=(
            f"rows at every {m.every}th minute, all phases in one fit; penalties are relative to the number of rows",
            "rows with a NULL feature or label are dropped; training labels are clipped at 5 robust sigmas, others not",
            f"noise: the same fits on {noise} targets with signs flipped at random in blocks of {NOISE_BLOCK} bars",
        ),
    )

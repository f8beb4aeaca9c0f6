"""The honest first answer: a ridge forecast, walk-forward, against the random walk and against noise."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CheckError
from bqx.market.calendar import datetime_of
from bqx.market.sim_math import uniform_at
from bqx.research.matrix import Matrix, from_project
from bqx.research.ridge import PENALTIES, Moments, Scaler, choose_penalties, clip_targets, fit_coefficients
from bqx.research.skill import DRAWS, Skill, losses, skill_of, summary
from bqx.research.splits import inner_split, plan_splits

if TYPE_CHECKING:
    from bqx.build.project import Project

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
NOISE_TARGETS = 40
_NOISE_BLOCK = 240


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
    return first_answer(matrix, seed=seed)


def first_answer(m: Matrix, *, seed: int = 0, noise: int = NOISE_TARGETS, draws: int = DRAWS) -> FirstAnswer:
    """Ridge of Y_h on X, pooled over pairs, for each horizon; everything fitted inside the training folds."""
    complete = np.asarray(np.isfinite(m.X).all(axis=2), dtype=np.bool_)
    labelled = np.isfinite(m.Y)
    live = np.flatnonzero((complete[:, :, None] & labelled).any(axis=(1, 2)))
    longest = max(m.horizons)
    span = int(m.position[live[-1]] - m.position[live[0]]) + 1 if len(live) else 0
    splits, text = plan_splits(span, longest)
    signs = _signs(m.position, noise, seed)
    tables: list[list[F8]] = [[] for _ in m.horizons]
    noisy = np.zeros((len(m.horizons), noise, 2))
    penalties = []
    for train, test in splits.split(m.position[live]):
        fold = _Fold(m, complete, live[train], live[test], splits.embargo, longest)
        chosen = []
        for k, h in enumerate(m.horizons):
            table, noise_sums, penalty = fold.run(k, h, signs)
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
    pooled = skill_of(together, 1.0 - total[:, 0] / total[:, 1], horizon=None, longest=longest, seed=seed, **shape)
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
        dropped_labels=int((complete[:, :, None] & ~labelled).any(axis=2).sum()),
        simulated=m.simulated,
        notes=(
            f"rows at every {m.every}th minute; ridge on every h-th bar, coefficients averaged over phases",
            "rows with a NULL feature are dropped, training labels are clipped at 5 robust sigmas, test labels are not",
            f"noise: the same fits on {noise} targets with signs flipped at random in blocks of {_NOISE_BLOCK} bars",
        ),
    )


def _signs(position: I8, count: int, seed: int) -> F8:
    """Random signs (times, 1 + count), constant in blocks of time; the first column, the true target, is all 1."""
    block = position // _NOISE_BLOCK
    out = np.ones((len(position), 1 + count))
    names, where = np.unique(block, return_inverse=True)
    for j in range(count):
        flips = np.array([1.0 if uniform_at(seed, 1_000_000 + j, int(b)) < 0.5 else -1.0 for b in names])
        out[:, 1 + j] = flips[where]
    return out


class _Fold:
    """One training window and test block: scaled features, shared by the horizons."""

    def __init__(self, m: Matrix, complete: NDArray[np.bool_], train: I8, test: I8, embargo: int, longest: int) -> None:
        self.m, self.train, self.test = m, train, test
        early, late = inner_split(m.position[train], longest, embargo)
        inner = Scaler.fit(m.X[train[early]])
        outer = Scaler.fit(m.X[train])
        self.fit = _Rows(m, complete, train[early], inner)
        self.choose = _Rows(m, complete, train[late], inner)
        self.whole = _Rows(m, complete, train, outer)
        self.out = _Rows(m, complete, test, outer)

    def run(self, k: int, horizon: int, signs: F8) -> tuple[F8, F8, float]:
        """Losses (test times, 5), noise sums (noise, 2) and the penalty chosen for the true target."""
        Zf, yf, sf, at = self.fit.take(k, signs)
        Zv, yv, sv, _ = self.choose.take(k, signs)
        phase = at % horizon == at[0] % horizon if len(at) else np.zeros(0, bool)
        if phase.sum() <= Zf.shape[1] or len(Zv) == 0:
            raise CheckError(
                f"{int(phase.sum())} training rows for {Zf.shape[1]} columns at h = {horizon}",
                fix="give a longer history or more pairs",
            )
        first = Moments.of(Zf[phase], clip_targets(yf[phase])[:, None] * sf[phase])
        penalty = choose_penalties(first, Moments.of(Zv, clip_targets(yv)[:, None] * sv))
        Zt, yt, st, at = self.whole.take(k, signs)
        coef = fit_coefficients(Zt, clip_targets(yt)[:, None] * st, at, horizon, penalty)
        Z, y, s, _ = self.out.take(k, signs)
        test = Moments.of(Z, y[:, None] * s)
        noise = np.stack([test.errors(coef), test.square], axis=1)[1:]
        return losses(self.m.Y[self.test, :, k], self.out.spread(k, Z @ coef[:, 0])), noise, float(penalty[0])


class _Rows:
    """Complete rows of some times, flattened over pairs, with features scaled."""

    def __init__(self, m: Matrix, complete: NDArray[np.bool_], times: I8, scaler: Scaler) -> None:
        self.m, self.times = m, times
        self.ok = complete[times]
        self.Z = scaler.transform(m.X[times])[self.ok]
        self.row, self.pair = np.nonzero(self.ok)

    def take(self, k: int, signs: F8) -> tuple[F8, F8, F8, I8]:
        """Features, targets, signs and positions of rows whose k-th label is known."""
        y = self.m.Y[self.times, :, k][self.ok]
        known = np.isfinite(y)
        at = self.times[self.row[known]]
        return self.Z[known], y[known], signs[at], self.m.position[at]

    def spread(self, k: int, forecast: F8) -> F8:
        """Forecasts of `take`'s rows back in shape (times, pairs)."""
        known = np.isfinite(self.m.Y[self.times, :, k]) & self.ok
        out = np.full(self.ok.shape, np.nan)
        out[known] = forecast
        return out

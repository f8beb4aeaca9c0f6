"""One step of the walk: fit on the training window, score the test block, for the truth and for noise targets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CheckError
from bqx.market.sim_math import uniform_at
from bqx.research.matrix import Matrix
from bqx.research.ridge import Moments, Scaler, choose_penalties, clip_targets, solve
from bqx.research.skill import losses
from bqx.research.splits import inner_split

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
NOISE_BLOCK = 240


def noise_signs(position: I8, count: int, seed: int) -> tuple[I8, F8]:
    """Block of each time, ascending, and random signs (blocks, 1 + count); the first column, the truth, is all 1."""
    names, where = np.unique(position // NOISE_BLOCK, return_inverse=True)
    out = np.ones((len(names), 1 + count))
    for j in range(count):
        for i, name in enumerate(names):
            out[i, 1 + j] = 1.0 if uniform_at(seed, 1_000_000 + j, int(name)) < 0.5 else -1.0
    return where.astype(np.int64), out


class Fold:
    """One training window and test block; scaled features and their moments, shared by the horizons."""

    def __init__(
        self, m: Matrix, usable: NDArray[np.bool_], train: I8, test: I8, embargo: int, block: I8, signs: F8
    ) -> None:
        early, late = inner_split(m.position[train], max(m.horizons), embargo)
        inner, outer = Scaler.fit(m.X[train[early]]), Scaler.fit(m.X[train])
        self.fit = Rows(m, usable, train[early], inner, block, signs)
        self.choose = Rows(m, usable, train[late], inner, block, signs)
        self.whole = Rows(m, usable, train, outer, block, signs)
        self.out = Rows(m, usable, test, outer, block, signs)
        if len(self.fit.Z) < 10 * len(m.columns) or not len(self.choose.Z) or not len(self.out.Z):
            raise CheckError(
                f"{len(self.fit.Z)} complete training rows for {len(m.columns)} columns, 10 a column are needed",
                fix="give a longer history or more pairs",
            )

    def coefficients(self, k: int) -> tuple[F8, F8]:
        """Coefficients (columns, 1 + noise) and penalties of the k-th horizon, from training rows alone."""
        penalty = choose_penalties(self.fit.moments(k, True), self.choose.moments(k, True))
        return solve(self.whole.moments(k, True), penalty), penalty

    def run(self, k: int) -> tuple[F8, F8, float]:
        """Losses (test times, 5), noise sums (noise, 2) and the penalty chosen for the true target."""
        coef, penalty = self.coefficients(k)
        test = self.out.moments(k, False)
        errors = test.errors(coef)[1:]
        noise = np.stack([errors, np.full(len(errors), test.square)], axis=1)
        return losses(*self.out.forecast(k, coef[:, 0])), noise, float(penalty[0])


class Rows:
    """Usable rows of some times, flattened over pairs in order of time, with features scaled."""

    def __init__(self, m: Matrix, usable: NDArray[np.bool_], times: I8, scaler: Scaler, block: I8, signs: F8) -> None:
        self.ok = usable[times]
        self.Z = scaler.transform(m.X[times])[self.ok]
        self.Y = m.Y[times][self.ok]
        self.block, self.signs = block[times[np.nonzero(self.ok)[0]]], signs
        self.gram = self.Z.T @ self.Z

    def moments(self, k: int, clip: bool) -> Moments:
        y = clip_targets(self.Y[:, k]) if clip else self.Y[:, k]
        return Moments.of(self.Z, y, self.block, self.signs, self.gram)

    def forecast(self, k: int, coef: F8) -> tuple[F8, F8]:
        """Label and forecast, shape (times, pairs), NaN for unusable rows."""
        y, f = np.full(self.ok.shape, np.nan), np.full(self.ok.shape, np.nan)
        y[self.ok], f[self.ok] = self.Y[:, k], self.Z @ coef
        return y, f

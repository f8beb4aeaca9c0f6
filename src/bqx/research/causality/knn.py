"""Conditional mutual information from distances to nearest neighbours, in nats."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CausalityError
from bqx.market.sim_math import kernel

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
NEIGHBOURS = 10
EULER = 0.5772156649015328606


def digammas(n: int) -> F8:
    """psi(0..n) of whole numbers, psi(0) unused: psi(1) = -Euler's constant, psi(k + 1) = psi(k) + 1 / k."""
    out = np.full(n + 1, -math.inf)
    if n:
        out[1:] = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, n))]) - EULER
    return out


@kernel
def _local(x: F8, y: F8, z: F8, when: I8, k: int, theiler: int, psi: F8, out: F8) -> None:
    """Rows in ascending order of z[:, 0] (of y without z), so that neighbours beyond a distance need no look."""
    n, dx = x.shape
    dy, dz = y.shape[1], z.shape[1]
    best = np.empty(k)
    for i in range(n):
        best[:] = np.inf
        kth = np.inf
        for side in range(2):
            j = i
            while True:
                j += 1 if side else -1
                if j < 0 or j >= n:
                    break
                near = abs(z[j, 0] - z[i, 0]) if dz else abs(y[j, 0] - y[i, 0])
                if near >= kth:
                    break
                if abs(when[j] - when[i]) <= theiler:
                    continue
                d = near
                for c in range(1, dz):
                    d = max(d, abs(z[j, c] - z[i, c]))
                if d >= kth:
                    continue
                for c in range(dy):
                    d = max(d, abs(y[j, c] - y[i, c]))
                if d >= kth:
                    continue
                for c in range(dx):
                    d = max(d, abs(x[j, c] - x[i, c]))
                if d >= kth:
                    continue
                at = k - 1
                while at > 0 and best[at - 1] > d:
                    best[at] = best[at - 1]
                    at -= 1
                best[at] = d
                kth = best[k - 1]
        in_z, in_xz, in_yz = 0, 0, 0
        for side in range(2):
            j = i
            while True:
                j += 1 if side else -1
                if j < 0 or j >= n:
                    break
                if dz and abs(z[j, 0] - z[i, 0]) >= kth:
                    break
                if abs(when[j] - when[i]) <= theiler:
                    continue
                d = 0.0
                for c in range(dz):
                    d = max(d, abs(z[j, c] - z[i, c]))
                if d >= kth:
                    continue
                in_z += 1
                d = 0.0
                for c in range(dx):
                    d = max(d, abs(x[j, c] - x[i, c]))
                if d < kth:
                    in_xz += 1
                d = 0.0
                for c in range(dy):
                    d = max(d, abs(y[j, c] - y[i, c]))
                if d < kth:
                    in_yz += 1
        out[i] = psi[k] + psi[in_z + 1] - psi[in_xz + 1] - psi[in_yz + 1]


class Neighbours:
    """Estimates I(X; Y | Z) of many X with the same Y and Z, which are sorted once.

    y (n, dy), z (n, dz) : dz may be 0, which gives the first estimator of Kraskov, Stoegbauer and Grassberger (2004).
    when (n,) : steps; rows within `theiler` of each other are no neighbours. The distance is the largest coordinate's.
    """

    def __init__(self, y: F8, z: F8, when: I8 | None = None, k: int = NEIGHBOURS, theiler: int = 0) -> None:
        n = len(y)
        if n <= 2 * (k + 1) * (theiler + 1) or k < 1:
            raise CausalityError(f"{k} nearest neighbours of {n} rows, {theiler} steps apart", fix="give more rows")
        lead = z[:, 0] if z.shape[1] else y[:, 0]
        self.order = np.argsort(lead, kind="stable")
        self.y, self.z = np.ascontiguousarray(y[self.order]), np.ascontiguousarray(z[self.order])
        steps = np.arange(n, dtype=np.int64) if when is None else when
        self.when = np.ascontiguousarray(steps[self.order])
        self.k, self.theiler, self.psi = k, theiler, digammas(n + 1)

    def local(self, x: F8) -> F8:
        """Terms (n,) whose mean is the estimate (Frenzel and Pompe 2007), in the order of x's rows.

        psi(k) + psi(n_z + 1) - psi(n_xz + 1) - psi(n_yz + 1), n counting rows nearer than the k-th neighbour in all
        of x, y, z. Without z all rows are counted.
        """
        out = np.empty(len(x))
        _local(np.ascontiguousarray(x[self.order]), self.y, self.z, self.when, self.k, self.theiler, self.psi, out)
        back = np.empty(len(x))
        back[self.order] = out
        return back

    def estimate(self, x: F8) -> float:
        """I(X; Y | Z); negative values are kept, for the estimator's errors lie on both sides."""
        return float(self.local(x).mean())


def slow_local(x: F8, y: F8, z: F8, k: int) -> F8:
    """The same written from the formula, with all distances at once; for tests and for reading."""
    n = len(x)
    parts = [np.abs(a[:, None, :] - a[None, :, :]).max(axis=2, initial=0.0) for a in (x, y, z)]
    for d in parts:
        np.fill_diagonal(d, np.inf)
    dx, dy, dz = parts
    kth = np.sort(np.maximum(np.maximum(dx, dy), dz), axis=1)[:, k - 1][:, None]
    psi = digammas(n + 1)
    in_z, in_xz, in_yz = ((d < kth).sum(axis=1) for d in (dz, np.maximum(dx, dz), np.maximum(dy, dz)))
    return np.asarray(psi[k] + psi[in_z + 1] - psi[in_xz + 1] - psi[in_yz + 1])

"""Digits lost, on easy and hard inputs, against 50-digit arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mpmath import mp
from numpy.typing import NDArray

from benchmarks.kernels.bars import Lane, inputs, single
from benchmarks.kernels.case import Case
from benchmarks.kernels.exact import Exact

F8 = NDArray[np.float64]
ROWS = 4096
SAMPLES = 32
EPS = 2.0**-53


def worlds() -> dict[str, Any]:
    """Bars of each input and their exact numbers, shared by all cases."""
    found = {name: single(series) for name, series in inputs(ROWS).items()}
    return {name: (bars, Lane(bars), Exact(bars)) for name, bars in found.items()}


def digits_lost(case: Case, world: Mapping[str, Any], samples: int = SAMPLES, seed: int = 3) -> dict[str, Any]:
    """input -> contender -> output -> decimal digits lost of 15.95; 16 means none is right."""
    if case.exact is None:
        return {}
    rng = np.random.default_rng(seed)
    out: dict[str, Any] = {}
    for name, (bars, lane, exact) in world.items():
        if name in case.skip:
            continue
        # all rows lie behind the tick in the middle: windows that hold it and windows it has left
        rows = np.sort(rng.choice(np.arange(ROWS // 2 + 20, ROWS - 1), size=samples, replace=False))
        want = [case.exact(exact, int(r)) for r in rows]
        result = case.ours(bars)
        found = {"ours": _columns(case.read(result) if case.read else result)}
        found |= {peer: _columns(work(lane)) for peer, work in case.peers.items()}
        out[name] = {who: _compare(case, values, want, rows) for who, values in found.items()}
    return out


def _columns(result: Any) -> list[F8]:
    """Arrays of one lane, aligned at the end."""
    parts = result if isinstance(result, tuple) else (result,)
    return [np.asarray(p, dtype=np.float64).reshape(len(p), -1)[:, 0] for p in parts]


def _compare(case: Case, values: list[F8], want: list[tuple[Any, ...]], rows: NDArray[np.int64]) -> dict[str, float]:
    """Largest error relative to the value, or to a thousandth of its spread where it is nearly 0."""
    out = {}
    for k, output in enumerate(case.outputs):
        exact = [w[k] for w in want]
        column = values[k][rows - ROWS + len(values[k])]
        floor = 1e-3 * float(np.std([float(v) for v in exact]))
        errors = [
            float(abs(mp.mpf(float(have)) - v) / max(abs(v), floor)) if np.isfinite(have) else 1.0
            for have, v in zip(column, exact, strict=True)
        ]
        worst = max(errors)
        out[output] = round(min(max(float(np.log10(worst / EPS)), 0.0), 16.0), 1) if worst > 0.0 else 0.0
    return out

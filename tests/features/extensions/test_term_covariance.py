"""In the orthogonal basis noise says nothing; in powers of x its terms always fall together."""

from __future__ import annotations

import numpy as np

from bqx.features.kernels.parabola_terms import parabola_terms


def test_noise_gives_none() -> None:
    """Median correlation of slope and bend terms over 60 bars on random walks: about 0, and -0.9 in powers of x."""
    rng = np.random.default_rng(0)
    rows, lanes, w = 119, 60, 60
    y = np.cumsum(rng.normal(size=(rows, lanes)), axis=0)
    out = parabola_terms(y, np.arange(rows, dtype=np.int32), w, 54, 3, False)
    x = np.arange(w, dtype=float)
    ours, raw = [], []
    for j in range(lanes):
        ours.append(np.corrcoef(out[1][-w:, j], out[2][-w:, j])[0, 1])
        fits = np.polyfit(x, np.lib.stride_tricks.sliding_window_view(y[:, j], w).T, 2)
        raw.append(np.corrcoef(fits[0], fits[1])[0, 1])
    assert abs(np.median(ours)) < 0.25
    assert np.median(raw) < -0.9

"""What a model says of rows of candidates, in basis points: the one place where online and offline numbers are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from bqx.serve.api.models import Resident

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of n rows and H horizons, NaN for NULL.

    innovation : y3 in sigmas, f4 : y4 in sigma sqrt(h), p_up : probability of a rise. move : expected return over
    (t, t + h] in bps; lo80 ... hi90 its intervals; all (n, H). quantiles : (n, H, Q) in bps. Rows whose sigma is NULL,
    and horizons longer than what is left of the segment, are NULL: the label they forecast does not exist.
    """

    horizons: tuple[int, ...]
    innovation: F8
    f4: F8
    p_up: F8
    move: F8
    lo80: F8
    hi80: F8
    lo90: F8
    hi90: F8
    quantiles: F8


def forecast(model: Resident, X: F4, minute: I8, sigma: F8, left: I8) -> Forecasts:
    """X float32 (n, columns) in the model's order, NaN for NULL; minute (n,) since 1970; sigma (n,) bps; left (n,) open
    minutes of the segment after each row. One call at a time reaches a model."""
    horizons = tuple(model.artefact.horizons)
    known = np.where(np.isfinite(sigma) & (sigma > 0), sigma, np.nan)
    with model.lock:
        said = model.artefact.predict(X, minute=minute, sigma=known)
    h = np.array(horizons)
    inside = left[:, None] >= h[None, :]
    scale = np.where(inside, known[:, None] * np.sqrt(h.astype(np.float64))[None, :], np.nan)
    exists = np.where(np.isfinite(scale), 1.0, np.nan)

    def bps(values: F8) -> F8:
        return np.asarray(values, dtype=np.float64) * scale

    return Forecasts(
        horizons,
        np.asarray(said.f3, dtype=np.float64) * exists,
        np.asarray(said.f4, dtype=np.float64) * exists,
        np.asarray(said.p_up, dtype=np.float64) * exists,
        bps(said.f4),
        bps(said.lo80),
        bps(said.hi80),
        bps(said.lo90),
        bps(said.hi90),
        np.asarray(said.quantiles, dtype=np.float64) * scale[:, :, None],
    )

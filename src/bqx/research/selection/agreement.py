"""How much selections agree: over folds, and with another version."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

B1 = NDArray[np.bool_]


def stability_index(masks: Sequence[B1]) -> float | None:
    """Stability of sets of columns (Nogueira, Sechidis and Brown 2018): 1 when all are equal, about 0 when they are
    random, whatever their size; None for fewer than two sets or when nothing or everything is selected.

    >>> a, b = np.array([True, True, False, False]), np.array([True, False, True, False])
    >>> stability_index([a, a]), stability_index([a, b])
    (1.0, 0.0)
    """
    if len(masks) < 2:
        return None
    table = np.stack(masks).astype(np.float64)
    m, p = table.shape
    share = table.mean(axis=0)
    size = float(table.sum(axis=1).mean()) / p
    if not 0.0 < size < 1.0:
        return None
    varies = float((m / (m - 1) * share * (1.0 - share)).mean())
    return float(1.0 - varies / (size * (1.0 - size)))


def shared(a: B1, b: B1) -> dict[str, float]:
    """Columns both have, and that as a share of what either has (Jaccard)."""
    both, either = int((a & b).sum()), int((a | b).sum())
    return {"both": both, "jaccard": both / either if either else 1.0}

"""A fingerprint of a set of minutes that adds up over pieces, so that cut and uncut partitions compare equal."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint64]
_MASK = (1 << 64) - 1


def _mix(x: U8) -> U8:
    """Finaliser of splitmix64 (Steele, Lea and Flood, 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def ts_fingerprint(minutes: NDArray[np.int64]) -> str:
    """Two 64-bit sums of mixed minutes, as 32 hex digits. For sorted unique minutes equal means the same rows."""
    x = minutes.astype(np.uint64)
    first = _mix(x + np.uint64(0x9E3779B97F4A7C15)).sum(dtype=np.uint64)
    second = _mix(x ^ np.uint64(0xD1B54A32D192ED03)).sum(dtype=np.uint64)
    return f"{int(first):016x}{int(second):016x}"


def combine(parts: Iterable[str]) -> str:
    """Fingerprint of the union of disjoint pieces."""
    a = b = 0
    for part in parts:
        a += int(part[:16], 16)
        b += int(part[16:], 16)
    return f"{a & _MASK:016x}{b & _MASK:016x}"

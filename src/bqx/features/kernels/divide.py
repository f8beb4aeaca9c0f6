"""When a ratio is defined."""

from __future__ import annotations

from bqx.features.kernels.jit import kernel

TINY = 1e-12
FLOOR = 1e-9
"""A ratio is undefined where its denominator is at most FLOOR (basis points, or points of 0-100: rounding, for mids of
other bids and asks differ in the last bit) or at most TINY times its numerator."""


@kernel
def divides(b: float, a: float) -> bool:
    """Whether a / b is defined, for b >= 0."""
    least = TINY * abs(a)
    return b > (least if least > FLOOR else FLOOR)

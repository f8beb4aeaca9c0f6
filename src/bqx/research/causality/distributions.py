"""Tail probabilities of the F, chi-squared and normal distributions, without scipy."""

from __future__ import annotations

import math

_TINY = 1e-300
_MOST = 10_000


def f_tail(x: float, top: float, bottom: float) -> float:
    """P(F > x) for `top` and `bottom` degrees of freedom; relative error about 1e-12, also far out.

    >>> round(f_tail(3.0, 2, 20), 6)
    0.072538
    """
    if not x > 0:
        return 1.0
    return beta_share(bottom / 2, top / 2, bottom / (bottom + top * x))


def chi2_tail(x: float, freedom: float) -> float:
    """P(chi-squared > x); the incomplete gamma function's series, or its continued fraction in the tail.

    >>> round(chi2_tail(3.841458820694124, 1), 12)
    0.05
    """
    if not x > 0:
        return 1.0
    a, z = freedom / 2, x / 2
    scale = math.exp(a * math.log(z) - z - math.lgamma(a))
    if z < a + 1:
        term = total = 1.0 / a
        for k in range(1, _MOST):
            term *= z / (a + k)
            total += term
            if term < total * 1e-16:
                break
        return max(1.0 - scale * total, 0.0)
    return scale * _fraction_gamma(a, z)


def normal_tail(x: float) -> float:
    """P(N(0, 1) > x)."""
    return 0.5 * math.erfc(x / math.sqrt(2))


def beta_share(a: float, b: float, x: float) -> float:
    """Regularised incomplete beta function I_x(a, b), by Lentz's continued fraction on the side that converges."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    if x < (a + 1) / (a + b + 2):
        return math.exp(front) * _fraction_beta(a, b, x) / a
    return max(1.0 - math.exp(front) * _fraction_beta(b, a, 1 - x) / b, 0.0)


def _fraction_beta(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1.0 / _away(1.0 - (a + b) * x / (a + 1))
    out = d
    for m in range(1, _MOST):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d = 1.0 / _away(1.0 + step * d)
            c = _away(1.0 + step / c)
            out *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return out


def _fraction_gamma(a: float, z: float) -> float:
    b = z + 1.0 - a
    c, d = 1.0 / _TINY, 1.0 / b
    out = d
    for k in range(1, _MOST):
        step = k * (a - k)
        b += 2.0
        d = 1.0 / _away(step * d + b)
        c = _away(b + step / c)
        out *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return out


def _away(x: float) -> float:
    return x if abs(x) > _TINY else _TINY

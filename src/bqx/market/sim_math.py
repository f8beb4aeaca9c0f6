"""Counter-based random numbers and elementary functions with the same bits on every machine.

Only integer operations, + - * / and sqrt are used (all exactly defined), never libm or numpy's SIMD variants.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba
import numpy as np

P = ParamSpec("P")
R = TypeVar("R")


def kernel(f: Callable[P, R]) -> Callable[P, R]:
    """Compile with Numba: no fastmath, GIL released, C semantics for division."""
    return cast(Callable[P, R], numba.njit(nogil=True, cache=True, error_model="numpy")(f))


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11, _S32 = (np.uint64(k) for k in (30, 27, 31, 11, 32))
_LOW = np.uint64(0xFFFFFFFF)
_STEP = np.uint64(0xD1B54A32D192ED03)
_ULP53, _ULP32 = 2.0**-53, 2.0**-32

_POW2 = np.array([2.0**k for k in range(-1000, 1001)])
_LOG2E, _LN2_HI, _LN2_LO = 1.4426950408889634, 6.93147180369123816490e-01, 1.90821492927058770002e-10
_LN2 = 0.6931471805599453


@kernel
def mix(z: np.uint64) -> np.uint64:
    """SplitMix64 finaliser (Steele, Lea and Flood 2014)."""
    z = (z ^ (z >> _S30)) * _M1
    z = (z ^ (z >> _S27)) * _M2
    return np.uint64(z ^ (z >> _S31))


@kernel
def stream_key(seed: int, stream: int) -> np.uint64:
    """Key of an independent stream of a seed."""
    return mix(mix(np.uint64(seed) + _GOLDEN) ^ ((np.uint64(stream) + np.uint64(1)) * _STEP))


@kernel
def bits(key: np.uint64, counter: int) -> np.uint64:
    """64 random bits at a place of a stream: the SplitMix64 output number `counter`."""
    return mix(key + (np.uint64(counter) + np.uint64(1)) * _GOLDEN)


@kernel
def uniform(key: np.uint64, counter: int) -> float:
    """Uniform in (0, 1), never 0 or 1."""
    return (float(bits(key, counter) >> _S11) + 0.5) * _ULP53


@kernel
def high_half(word: np.uint64) -> float:
    """Uniform in (0, 1) from the upper 32 bits."""
    return (float(word >> _S32) + 0.5) * _ULP32


@kernel
def low_half(word: np.uint64) -> float:
    """Uniform in (0, 1) from the lower 32 bits."""
    return (float(word & _LOW) + 0.5) * _ULP32


@kernel
def exp(x: float) -> float:
    """e**x for |x| < 690: Cody-Waite reduction and a Taylor polynomial, error below 2 ulp."""
    n = math.floor(x * _LOG2E + 0.5)
    r = (x - n * _LN2_HI) - n * _LN2_LO
    p = 1.6059043836821613e-10 * r + 2.08767569878681e-09
    p = (p * r + 2.505210838544172e-08) * r + 2.755731922398589e-07
    p = (p * r + 2.7557319223985893e-06) * r + 2.48015873015873e-05
    p = (p * r + 0.0001984126984126984) * r + 0.001388888888888889
    p = (p * r + 0.008333333333333333) * r + 0.041666666666666664
    p = (p * r + 0.16666666666666666) * r + 0.5
    p = (p * r + 1.0) * r + 1.0
    return float(p * _POW2[int(n) + 1000])


@kernel
def log(x: float) -> float:
    """Natural logarithm of a positive normal number: atanh series, error below 2 ulp away from 1."""
    m, e = math.frexp(x)
    if m < 0.7071067811865476:
        m *= 2.0
        e -= 1
    s = (m - 1.0) / (m + 1.0)
    q = s * s
    p = 0.09523809523809523 * q + 0.10526315789473684
    p = (p * q + 0.11764705882352941) * q + 0.13333333333333333
    p = (p * q + 0.15384615384615385) * q + 0.18181818181818182
    p = (p * q + 0.2222222222222222) * q + 0.2857142857142857
    p = (p * q + 0.4) * q + 0.6666666666666666
    p = p * q + 2.0
    return s * p + e * _LN2


@kernel
def inverse_normal(u: float) -> float:
    """Standard normal quantile, relative error 1e-15 (Wichura 1988, AS 241 PPND16)."""
    q = u - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        a = 2509.0809287301226727 * r + 33430.575583588128105
        a = (a * r + 67265.770927008700853) * r + 45921.953931549871457
        a = (a * r + 13731.693765509461125) * r + 1971.5909503065514427
        a = (a * r + 133.14166789178437745) * r + 3.387132872796366608
        b = 5226.495278852545925 * r + 28729.085735721942674
        b = (b * r + 39307.89580009271061) * r + 21213.794301586595867
        b = (b * r + 5394.1960214247511077) * r + 687.1870074920579083
        b = (b * r + 42.313330701600911252) * r + 1.0
        return q * a / b
    r = u if q < 0.0 else 1.0 - u
    r = math.sqrt(-log(r))
    if r <= 5.0:
        r -= 1.6
        a = 7.7454501427834140764e-4 * r + 0.0227238449892691845833
        a = (a * r + 0.24178072517745061177) * r + 1.27045825245236838258
        a = (a * r + 3.64784832476320460504) * r + 5.7694972214606914055
        a = (a * r + 4.6303378461565452959) * r + 1.42343711074968357734
        b = 1.05075007164441684324e-9 * r + 5.475938084995344946e-4
        b = (b * r + 0.0151986665636164571966) * r + 0.14810397642748007459
        b = (b * r + 0.68976733498510000455) * r + 1.6763848301838038494
        b = (b * r + 2.05319162663775882187) * r + 1.0
    else:
        r -= 5.0
        a = 2.01033439929228813265e-7 * r + 2.71155556874348757815e-5
        a = (a * r + 0.0012426609473880784386) * r + 0.026532189526576123093
        a = (a * r + 0.29656057182850489123) * r + 1.7848265399172913358
        a = (a * r + 5.4637849111641143699) * r + 6.6579046435011037772
        b = 2.04426310338993978564e-15 * r + 1.4215117583164458887e-7
        b = (b * r + 1.8463183175100546818e-5) * r + 7.868691311456132591e-4
        b = (b * r + 0.0148753612908506148525) * r + 0.13692988092273580531
        b = (b * r + 0.59983220655588793769) * r + 1.0
    x = a / b
    return -x if q < 0.0 else x


@kernel
def normal(key: np.uint64, counter: int) -> float:
    """Standard normal number at a place of a stream."""
    return inverse_normal(uniform(key, counter))


@kernel
def uniform_at(seed: int, stream: int, counter: int) -> float:
    """Uniform in (0, 1) at a place of a stream of a seed, for callers outside kernels."""
    return uniform(stream_key(seed, stream), counter)

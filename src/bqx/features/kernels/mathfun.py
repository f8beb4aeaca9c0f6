"""Elementary functions of our own: the platform's differ in the last bit between CPUs and libraries.

After FreeBSD's msun (Sun Microsystems, 1993): e_log.c, e_exp.c, s_erf.c, s_cbrt.c, k_sin.c and k_cos.c. Errors of
log_ratio: below 1 ulp for changes up to 0.1 %, 1.5 up to 40 %, 2.5 beyond, where the quotient is rounded; of exp and
cbrt: below 1 ulp; of normal_cdf: 4 ulp down to -1, then as the argument's own rounding allows (x * x * 2**-53).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from bqx.features.kernels.jit import kernel

LN2_HI = 6.93147180369123816490e-01
LN2_LO = 1.90821492927058770002e-10
_L1, _L2, _L3, _L4 = (
    6.666666666666735130e-01,
    3.999999999940941908e-01,
    2.857142874366239149e-01,
    2.222219843214978396e-01,
)
_L5, _L6, _L7 = 1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01

INV_LN2 = 1.44269504088896338700e00
_WHOLE, _WHOLE_BITS = 1.5 * 2.0**52, 0x4338000000000000
"""Added to a small number it leaves a whole one, in the last bits."""
_P = (
    1.66666666666666019037e-01,
    -2.77777777770155933842e-03,
    6.61375632143793436117e-05,
    -1.65339022054652515390e-06,
    4.13813679705723846039e-08,
)
_CB = (1.87595182427177009643, -1.88497979543377169875, 1.621429720105354466140, -0.758397934778766047437,
       0.145996192886612446982)  # fmt: skip

SQRT_HALF = 0.7071067811865476
ERX = 8.45062911510467529297e-01
_PP = (1.28379167095512558561e-01, -3.25042107247001499370e-01, -2.84817495755985104766e-02,
       -5.77027029648944159157e-03, -2.37630166566501626084e-05)  # fmt: skip
_QQ = (3.97917223959155352819e-01, 6.50222499887672944485e-02, 5.08130628187576562776e-03, 1.32494738004321644526e-04,
       -3.96022827877536812320e-06)  # fmt: skip
_PA = (-2.36211856075265944077e-03, 4.14856118683748331666e-01, -3.72207876035701323847e-01,
       3.18346619901161753674e-01, -1.10894694282396677476e-01, 3.54783043256182359371e-02,
       -2.16637559486879084300e-03)  # fmt: skip
_QA = (1.06420880400844228286e-01, 5.40397917702171048937e-01, 7.18286544141962662868e-02, 1.26171219808761642112e-01,
       1.36370839120290507362e-02, 1.19844998467991074170e-02)  # fmt: skip
_RA = (-9.86494403484714822705e-03, -6.93858572707181764372e-01, -1.05586262253232909814e+01,
       -6.23753324503260060396e+01, -1.62396669462573470355e+02, -1.84605092906711035994e+02,
       -8.12874355063065934246e+01, -9.81432934416914548592e+00)  # fmt: skip
_SA = (1.96512716674392571292e+01, 1.37657754143519042600e+02, 4.34565877475229228821e+02, 6.45387271733267880336e+02,
       4.29008140027567833386e+02, 1.08635005541779435134e+02, 6.57024977031928170135e+00,
       -6.04244152148580987438e-02)  # fmt: skip
_RB = (-9.86494292470009928597e-03, -7.99283237680523006574e-01, -1.77579549177547519889e+01,
       -1.60636384855821916062e+02, -6.37566443368389627722e+02, -1.02509513161107724954e+03,
       -4.83519191608651397019e+02)  # fmt: skip
_SB = (3.03380607434824582924e+01, 3.25792512996573918826e+02, 1.53672958608443695994e+03, 3.19985821950859553908e+03,
       2.55305040643316442583e+03, 4.74528541206955367215e+02, -2.24409524465858183362e+01)  # fmt: skip

PI_2 = 1.5707963267948966
_S = (
    -1.66666666666666324348e-01,
    8.33333333332248946124e-03,
    -1.98412698298579493134e-04,
    2.75573137070700676789e-06,
    -2.50507602534068634195e-08,
    1.58969099521155010221e-10,
)
_C = (
    4.16666666666666019037e-02,
    -1.38888888888741095749e-03,
    2.48015872894767294178e-05,
    -2.75573143513906633035e-07,
    2.08757232129817482790e-09,
    -1.13596475577881948265e-11,
)


@intrinsic
def _bits_of(typingctx: Any, x: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), codegen


@intrinsic
def _float_of(typingctx: Any, x: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), codegen


# numba passes the typing context itself; callers see the value only
to_bits = cast("Callable[[float], int]", _bits_of)
_from_bits = cast("Callable[[int], float]", _float_of)


@kernel
def log_ratio(a: float, b: float) -> float:
    """ln(a / b) for positive normal a, b; NaN for NaN. Near a = b the difference is taken before the division,
    so that a return of 1e-9 keeps all its digits; scaling a and b by one power of two moves no bit."""
    r = a / b
    bits = to_bits(r)
    # exponent k so that r / 2**k lies in [sqrt(1/2), sqrt(2))
    shifted = bits - 0x3FE6A09E00000000
    k = shifted >> 52
    m = _from_bits((shifted & 0x000FFFFFFFFFFFFF) + 0x3FE6A09E00000000)
    f = (a - b) / b if k == 0 else m - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    t1 = w * (_L2 + w * (_L4 + w * _L6))
    t2 = z * (_L1 + w * (_L3 + w * (_L5 + w * _L7)))
    half = 0.5 * f * f
    e = float(k)
    y = e * LN2_HI - ((half - (s * (half + t1 + t2) + e * LN2_LO)) - f)
    return y if r == r else r


@kernel
def _power_of_two(k: int) -> float:
    """2**k for -1022 <= k <= 1023."""
    return _from_bits((k + 1023) << 52)


@kernel
def exp(x: float) -> float:
    """e**x; 0 below -708 (results under the smallest normal number are not made), inf above 709.78, NaN for NaN."""
    inside = (x >= -708.0) & (x <= 709.782712893384)
    y = x if inside else 0.0
    # to a whole number and to an integer by bits: a conversion would keep loops from being vectorised
    rounded = INV_LN2 * y + _WHOLE
    k = rounded - _WHOLE
    power = to_bits(rounded) - _WHOLE_BITS
    hi = y - k * LN2_HI
    lo = k * LN2_LO
    r = hi - lo
    t = r * r
    c = r - t * (_P[0] + t * (_P[1] + t * (_P[2] + t * (_P[3] + t * _P[4]))))
    e = 1.0 - ((lo - (r * c) / (2.0 - c)) - hi)
    # in two steps, since 2**1024 has no float
    half = ((power + 2048) >> 1) - 1024
    e = e * _power_of_two(half) * _power_of_two(power - half)
    outside = np.inf if x > 0.0 else 0.0
    return (e if inside else outside) if x == x else x


@kernel
def _erfc_tail(x: float) -> float:
    """erfc on x >= 0.84375, 0 beyond 27."""
    s = 1.0 / (x * x)
    if x < 1.25:
        s = x - 1.0
        p = _PA[0] + s * (_PA[1] + s * (_PA[2] + s * (_PA[3] + s * (_PA[4] + s * (_PA[5] + s * _PA[6])))))
        q = 1.0 + s * (_QA[0] + s * (_QA[1] + s * (_QA[2] + s * (_QA[3] + s * (_QA[4] + s * _QA[5])))))
        return 1.0 - ERX - p / q
    if x < 1.0 / 0.35:
        r = _RA[0] + s * (
            _RA[1] + s * (_RA[2] + s * (_RA[3] + s * (_RA[4] + s * (_RA[5] + s * (_RA[6] + s * _RA[7])))))
        )
        q = _SA[4] + s * (_SA[5] + s * (_SA[6] + s * _SA[7]))
        q = 1.0 + s * (_SA[0] + s * (_SA[1] + s * (_SA[2] + s * (_SA[3] + s * q))))
    elif x < 27.0:
        r = _RB[0] + s * (_RB[1] + s * (_RB[2] + s * (_RB[3] + s * (_RB[4] + s * (_RB[5] + s * _RB[6])))))
        q = 1.0 + s * (_SB[0] + s * (_SB[1] + s * (_SB[2] + s * (_SB[3] + s * (_SB[4] + s * (_SB[5] + s * _SB[6]))))))
    else:
        return 0.0
    z = _from_bits((to_bits(x) >> 32) << 32)  # the square of its upper half is exact
    return exp(-z * z - 0.5625) * exp((z - x) * (z + x) + r / q) / x


@kernel
def _erfc(x: float) -> float:
    """Complementary error function of a finite x."""
    a = abs(x)
    if a >= 0.84375:
        tail = _erfc_tail(a)
        return tail if x > 0.0 else 2.0 - tail
    z = x * x
    r = _PP[0] + z * (_PP[1] + z * (_PP[2] + z * (_PP[3] + z * _PP[4])))
    y = r / (1.0 + z * (_QQ[0] + z * (_QQ[1] + z * (_QQ[2] + z * (_QQ[3] + z * _QQ[4])))))
    if x < 0.25:
        return 1.0 - (x + x * y)
    return 0.5 - (x - 0.5 + x * y)


@kernel
def normal_cdf(x: float) -> float:
    """Probability that a standard normal variable is at most x; NaN for NaN."""
    if x != x:
        return x
    return 0.5 * _erfc(-x * SQRT_HALF)


@kernel
def cbrt(x: float) -> float:
    """Cube root of x >= 0 (0 below the smallest normal number); NaN for NaN."""
    if x != x:
        return x
    if x < 2.2250738585072014e-308:
        return 0.0
    t = _from_bits(to_bits(x) // 3 + (715094163 << 32))
    r = (t * t) * (t / x)
    t = t * ((_CB[0] + r * (_CB[1] + r * _CB[2])) + ((r * r) * r) * (_CB[3] + r * _CB[4]))
    t = _from_bits((to_bits(t) + 0x80000000) & -0x40000000)  # 23 bits, so that t * t is exact
    r = x / (t * t)
    return t + t * ((r - t) / (t + t + r))


def _sin(x: float) -> float:
    """Sine on [0, pi/4]."""
    z = x * x
    r = _S[1] + z * (_S[2] + z * (_S[3] + z * (_S[4] + z * _S[5])))
    return x + z * x * (_S[0] + z * r)


def _cos(x: float) -> float:
    """Cosine on [0, pi/4]."""
    z = x * x
    r = z * (_C[0] + z * (_C[1] + z * (_C[2] + z * (_C[3] + z * (_C[4] + z * _C[5])))))
    half = 0.5 * z
    w = 1.0 - half
    return w + (((1.0 - w) - half) + z * r)


def turn(numerator: int, denominator: int) -> tuple[float, float]:
    """Sine and cosine of 2 pi numerator / denominator; plain Python, since Python's float arithmetic is IEEE."""
    quadrant, rest = divmod(4 * (numerator % denominator), denominator)
    swap = 2 * rest > denominator
    x = PI_2 * (denominator - rest if swap else rest) / denominator
    s, c = (_cos(x), _sin(x)) if swap else (_sin(x), _cos(x))
    return ((s, c), (c, -s), (-s, -c), (-c, s))[quadrant]

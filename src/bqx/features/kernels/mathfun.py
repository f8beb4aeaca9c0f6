"""Elementary functions of our own: the platform's differ in the last bit between CPUs and libraries.

Natural logarithm after FreeBSD's e_log.c (Sun Microsystems, 1993), sine and cosine after k_sin.c and k_cos.c. Errors
of log_ratio: below 1 ulp for changes up to 0.1 %, 1.5 up to 40 %, 2.5 beyond, where the quotient is rounded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

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
_to_bits = cast("Callable[[float], int]", _bits_of)
_from_bits = cast("Callable[[int], float]", _float_of)


@kernel
def log_ratio(a: float, b: float) -> float:
    """ln(a / b) for positive normal a, b; NaN for NaN. Near a = b the difference is taken before the division,
    so that a return of 1e-9 keeps all its digits; scaling a and b by one power of two moves no bit."""
    r = a / b
    bits = _to_bits(r)
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

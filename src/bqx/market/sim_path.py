"""The log values of 8 currencies, minute by minute: sessions, stochastic volatility, jumps, weekend gaps."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bqx.market.pairs import CURRENCIES
from bqx.market.sim_math import exp, kernel, normal, stream_key, uniform

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]

# One-minute standard deviation of each log value, and its worth in US dollars at the origin.
SIGMA = np.array([{"eur": 0.70, "gbp": 0.80, "aud": 0.95, "nzd": 0.95, "usd": 0.80, "cad": 0.65, "chf": 0.75,
                   "jpy": 0.95}[c] * 1e-4 for c in CURRENCIES])  # fmt: skip
WORTH = np.array([{"eur": 1.10, "gbp": 1.27, "aud": 0.66, "nzd": 0.61, "usd": 1.0, "cad": 0.735, "chf": 1.13,
                   "jpy": 1.0 / 150.0}[c] for c in CURRENCIES])  # fmt: skip

STATE_ROWS = 5
"""Rows of a state (5, 8): log value, slow and fast log volatility, momentum S, common log volatility (first item)."""

# Log volatility is redrawn every 5 minutes: sd in the long run, decay a step (half-lives 3 days, 1 h, 1 day).
_EVERY = 5
_SLOW_SD, _FAST_SD, _COMMON_SD = 0.30, 0.25, 0.25
_SLOW, _FAST, _COMMON = 0.9991980, 0.9438743, 0.9975960
_SHIFT = _SLOW_SD**2 + _FAST_SD**2 + _COMMON_SD**2  # keeps the mean variance at SIGMA^2

_JUMP_RATE = 1.0 / 12_000.0  # a minute and currency
_GAP = 15.0  # weekend gap in one-minute sigmas

RHO = 0.9771599684342459  # 2 ** (-1 / 30)
_GAIN = math.sqrt(1.0 - RHO * RHO)
KAPPA = 0.035

_Z, _JUMP, _SLOW_Z, _FAST_Z, _GAP_Z, _COMMON_Z = 0, 8, 16, 24, 40, 48


@kernel
def begin(seed: int, origin: int) -> F8:
    """State at the origin: worth as in WORTH, volatilities drawn from their long-run law."""
    state = np.zeros((STATE_ROWS, 8))
    for c in range(8):
        state[1, c] = _SLOW_SD * normal(stream_key(seed, _SLOW_Z + c), origin - 1)
        state[2, c] = _FAST_SD * normal(stream_key(seed, _FAST_Z + c), origin - 1)
    state[4, 0] = _COMMON_SD * normal(stream_key(seed, _COMMON_Z), origin - 1)
    return state


@kernel
def walk(
    seed: int, kappa: float, state: F8, minute: I8, seg_age: I4, minute_of_day: I4, season: I8, profiles: F8, out: F8
) -> None:
    """Move `state` (in place) through the minutes. `out` (n, 3, 8) takes open and close worth and the minute's
    variance of each log value; of length 0 it takes nothing.

    x = kappa * S + z;  log value += sigma * x + jump;  S = RHO * S + sqrt(1 - RHO^2) * x.
    """
    n = len(minute)
    keep = len(out) == n
    z_key, jump_key, gap_key = np.empty(8, np.uint64), np.empty(8, np.uint64), np.empty(8, np.uint64)
    slow_key, fast_key = np.empty(8, np.uint64), np.empty(8, np.uint64)
    for c in range(8):
        z_key[c] = stream_key(seed, _Z + c)
        jump_key[c] = stream_key(seed, _JUMP + c)
        slow_key[c] = stream_key(seed, _SLOW_Z + c)
        fast_key[c] = stream_key(seed, _FAST_Z + c)
        gap_key[c] = stream_key(seed, _GAP_Z + c)
    common_key = stream_key(seed, _COMMON_Z)
    slow_step = _SLOW_SD * math.sqrt(1.0 - _SLOW * _SLOW)
    fast_step = _FAST_SD * math.sqrt(1.0 - _FAST * _FAST)
    common_step = _COMMON_SD * math.sqrt(1.0 - _COMMON * _COMMON)
    factor, worth = np.empty(8), np.empty(8)
    roots = np.sqrt(profiles)
    for c in range(8):
        factor[c] = SIGMA[c] * exp(state[1, c] + state[2, c] + state[4, 0] - _SHIFT)
        worth[c] = WORTH[c] * exp(state[0, c])
    for i in range(n):
        m = minute[i]
        if m % _EVERY == 0:
            state[4, 0] = _COMMON * state[4, 0] + common_step * normal(common_key, m)
            for c in range(8):
                state[1, c] = _SLOW * state[1, c] + slow_step * normal(slow_key[c], m)
                state[2, c] = _FAST * state[2, c] + fast_step * normal(fast_key[c], m)
                factor[c] = SIGMA[c] * exp(state[1, c] + state[2, c] + state[4, 0] - _SHIFT)
        for c in range(8):
            if seg_age[i] == 0:
                state[0, c] += _GAP * SIGMA[c] * normal(gap_key[c], m)
                worth[c] = WORTH[c] * exp(state[0, c])
            sigma = factor[c] * roots[season[i], minute_of_day[i], c]
            x = kappa * state[3, c] + normal(z_key[c], m)
            state[3, c] = RHO * state[3, c] + _GAIN * x
            step = sigma * x
            u = uniform(jump_key[c], m)
            if u < _JUMP_RATE:  # the place of u within its small range gives sign and size: 6 to 20 sigmas
                v = 2.0 * (u / _JUMP_RATE) - 1.0
                size = 6.0 + 14.0 * v * v
                step += sigma * size if v > 0.0 else -sigma * size
            state[0, c] += step
            if keep:
                out[i, 0, c] = worth[c]
                worth[c] = WORTH[c] * exp(state[0, c])
                out[i, 1, c] = worth[c]
                out[i, 2, c] = sigma * sigma

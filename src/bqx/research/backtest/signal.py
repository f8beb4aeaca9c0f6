"""From a forecast to BUY, SELL or HOLD: the same pure function in backtest, paper trading and the prediction API.

Forecasts are oriented: positive means the price rises, so a positive one is a BUY. Raw BQX has the other sign
(positive: the price fell); a rule that buys on positive raw BQX is inverted. `side_of_raw_bqx` is the map for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bqx.base.errors import BacktestError

F8 = NDArray[np.float64]
Action = Literal["BUY", "SELL", "HOLD"]
ACTIONS: dict[int, Action] = {1: "BUY", -1: "SELL", 0: "HOLD"}
GO, BELOW_COST, UNKNOWN, NOT_SHOWN = "edge above cost", "edge below cost and margin", "no forecast", "no shown skill"
REASONS = (GO, BELOW_COST, UNKNOWN, NOT_SHOWN)


@dataclass(frozen=True, slots=True)
class SignalRule:
    """Trade only when |expected return| > round trip + margin.

    margin_bps : on top of the expected round trip. extra_cost_bps : what a round trip costs beyond the spread (slippage
    and commission of both sides). shrink : the forecast is multiplied by it first, 0 to 1, for models whose calibration
    slope is below 1.
    """

    margin_bps: float = 0.0
    extra_cost_bps: float = 0.0
    shrink: float = 1.0

    def __post_init__(self) -> None:
        if not (self.margin_bps >= 0.0 and self.extra_cost_bps >= 0.0 and 0.0 < self.shrink <= 1.0):
            raise BacktestError(
                f"a rule needs margin and cost of at least 0 and shrink in (0, 1], got {self}", where="SignalRule"
            )


@dataclass(frozen=True, slots=True)
class Signal:
    """expected_bps : of the next h bars, positive = price rises. hurdle_bps : round trip and margin it must exceed.

    strength : share of the expected return that is left after the hurdle, 0 for HOLD. reason : one of REASONS, or the
    name of the no-trade zone.
    """

    action: Action
    side: int
    expected_bps: float
    hurdle_bps: float
    strength: float
    reason: str


@dataclass(frozen=True, slots=True)
class Signals:
    """The same for many rows: arrays (n,), `side` int8 in -1, 0, 1; `reason` index into REASONS."""

    side: NDArray[np.int8]
    expected_bps: F8
    hurdle_bps: F8
    strength: F8
    reason: NDArray[np.int8]


def expected_return(f4: ArrayLike, sigma: ArrayLike, horizon: ArrayLike) -> F8:
    """Bps over (t, t + h] of forecasts of y4, whose unit is sigma(t) sqrt(h).

    >>> float(expected_return(0.5, 2.0, 16))
    4.0
    """
    scale = np.asarray(sigma, np.float64) * np.sqrt(np.asarray(horizon, np.float64))
    return np.asarray(np.asarray(f4, np.float64) * scale)


def signals(
    f4: ArrayLike,
    sigma: ArrayLike,
    cost: ArrayLike,
    horizon: ArrayLike,
    rule: SignalRule,
    *,
    demonstrated: bool = True,
    regime: ArrayLike = 1.0,
) -> Signals:
    """Signals of rows of equal length, or numbers.

    f4 : forecast of y4. sigma : bps a root of a bar. cost : expected spread of a round trip, bps. regime : 0 to 1, what
    of the forecast the present regime leaves. demonstrated : False forces HOLD (a model without all gates). Anything
    not finite is HOLD. Nothing after t enters.
    """
    expected = expected_return(f4, sigma, horizon) * rule.shrink * np.asarray(regime, np.float64)
    expected = np.atleast_1d(expected)
    hurdle = np.broadcast_to(np.asarray(cost, np.float64), expected.shape) + rule.extra_cost_bps + rule.margin_bps
    known = np.isfinite(expected) & np.isfinite(hurdle)
    size = np.where(known, np.abs(expected), 0.0)
    above = known & (size > hurdle)
    go = above & demonstrated
    side = np.where(go, np.sign(np.where(known, expected, 0.0)), 0.0).astype(np.int8)
    strength = np.where(go, 1.0 - hurdle / np.where(go, size, 1.0), 0.0)
    reason = np.select([~known, ~above, ~go], [2, 1, 3], 0).astype(np.int8)
    return Signals(side, expected, np.asarray(hurdle), np.asarray(strength), reason)


def signal(
    f4: float,
    sigma: float,
    cost: float,
    horizon: int,
    rule: SignalRule,
    *,
    demonstrated: bool = True,
    regime: float = 1.0,
    blocked: str | None = None,
) -> Signal:
    """One signal, bit for bit that of :func:`signals`; a hundred times faster than an array of one.

    blocked : the no-trade zone t lies in (see `zones.NoTrade.reason`), which forces HOLD.

    >>> signal(0.5, 2.0, 1.0, 16, SignalRule()).action, signal(-0.5, 2.0, 1.0, 16, SignalRule()).action
    ('BUY', 'SELL')
    >>> signal(0.5, 2.0, 4.0, 16, SignalRule()).reason
    'edge below cost and margin'
    """
    expected = f4 * (sigma * math.sqrt(horizon)) * rule.shrink * regime
    hurdle = cost + rule.extra_cost_bps + rule.margin_bps
    if not (math.isfinite(expected) and math.isfinite(hurdle)):
        return Signal("HOLD", 0, expected, hurdle, 0.0, UNKNOWN)
    if not abs(expected) > hurdle:
        return Signal("HOLD", 0, expected, hurdle, 0.0, BELOW_COST)
    if not demonstrated or blocked is not None:
        return Signal("HOLD", 0, expected, hurdle, 0.0, blocked if demonstrated and blocked else NOT_SHOWN)
    side = 1 if expected > 0.0 else -1
    return Signal(ACTIONS[side], side, expected, hurdle, 1.0 - hurdle / abs(expected), GO)


def side_of_raw_bqx(raw: float) -> int:
    """The side that a forecast of raw BQX points to: positive means the price fell over the window, so SELL.

    >>> side_of_raw_bqx(0.001), side_of_raw_bqx(-0.001)
    (-1, 1)
    """
    return 0 if raw == 0.0 or math.isnan(raw) else (-1 if raw > 0.0 else 1)

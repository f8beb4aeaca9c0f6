"""What the hidden chain emits, and its model: estimated at each week's first open minute from the 20 days before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from bqx.features.families.hmm_regime_states_support import closing
from bqx.features.fits import Fit, fitted
from bqx.features.kernels.hidden_markov import arrange
from bqx.features.kernels.hidden_markov_fit import DAYS, MODEL_ROWS, STATES, fit_chain
from bqx.features.kernels.logs import logarithm
from bqx.features.kernels.moments import centre
from bqx.features.kernels.oscillators import ratio
from bqx.features.kernels.squares import root_sum_of_squares
from bqx.features.refresh import latest_points
from bqx.features.streams import PRICE, WINDOWS, Domain, Streams, momentum_support
from bqx.features.support import Fitted, Lag, Support, Window, needed
from bqx.market.pairs import PAIRS
from bqx.market.sim_math import bits, stream_key

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]

DOMAINS: tuple[Domain, ...] = ("rate", "bqx")
W = 15
"""Bars of the volatility and the efficiency that are observed."""
FIT_BARS = DAYS * 1440
STARTS, SHORT, LONG = 5, 3, 20
"""Seeded starts, rounds that each gets on a fifth of the data, rounds of the best on all."""

REGIMES = ("calm", "trend", "shock")
MOVES = tuple(f"move_{a}_{b}" for a in REGIMES for b in REGIMES)
PARAMETERS = (
    *(f"{kind}_{name}_{regime}" for kind in ("mean", "var") for name in ("rv", "eff") for regime in REGIMES),
    *MOVES,
    "log_likelihood",
)
"""Means and variances of ln RV_15 and efficiency_15 by regime, transition probabilities, log-likelihood a value."""

_M = momentum_support(WINDOWS[0])
_STEP: dict[Domain, Support] = {"rate": PRICE, "bqx": Lag(_M, 1, "SEG")}
OBSERVED: dict[Domain, Support] = {domain: Window(step, W, "SEG") for domain, step in _STEP.items()}


@dataclass(frozen=True, slots=True)
class Scale:
    """Bars of a chain: of one minute or of five. need : values a trajectory takes in before it is read. cap : where
    the time in a state saturates, in bars of the scale (a trading day)."""

    name: str
    every: int

    @property
    def need(self) -> int:
        return 60 // self.every

    @property
    def cap(self) -> int:
        return 1440 // self.every

    @property
    def rows(self) -> int:
        """Bars a day."""
        return 1440 // self.every


SCALES = (Scale("1m", 1), Scale("5m", 5))
BURN = 1728
"""Head start of a trajectory before its segment, open minutes: 1.2 times the cap."""

_KEPT: WeakKeyDictionary[Streams, dict[str, tuple[F8, F8]]] = WeakKeyDictionary()


def observed(streams: Streams, domain: Domain) -> tuple[F8, F8]:
    """ln RV_15 and efficiency_15, NaN where either is; worked out once. Shapes (n, pairs)."""
    kept = _KEPT.setdefault(streams, {})
    if domain not in kept:
        change, age = streams.stream(domain).change, streams.panel.grid.seg_age
        volatility = logarithm(root_sum_of_squares(change, age, W, needed(W), across=False))
        net, path = (_mean(x, age) for x in (change, np.abs(change)))
        efficiency = np.minimum(ratio(np.abs(net), path), 1.0)
        either = np.isnan(volatility) | np.isnan(efficiency)
        volatility[either], efficiency[either] = np.nan, np.nan
        kept[domain] = volatility, efficiency
    return kept[domain]


def _mean(x: F8, age: I4) -> F8:
    shift, excess, _ = centre(x, age, W, needed(W), 1)
    return shift + excess


def picks(pair: str, domain: Domain, scale: Scale, week: int, places: I8) -> I8:
    """Places of the values that are the first means of the starts, drawn from `places`: (STARTS, STATES)."""
    code = (DOMAINS.index(domain) * len(SCALES) + SCALES.index(scale)) * len(PAIRS) + PAIRS.index(pair)
    key = np.uint64(stream_key(week, code))
    drawn = [int(bits(key, k)) % len(places) for k in range(STARTS * STATES)]
    return places[drawn].reshape(STARTS, STATES)


def labelled(model: F8) -> F8:
    """States in the order of `REGIMES`: shock has the highest mean ln RV, of the others trend the higher efficiency."""
    rv, efficiency = model[:STATES], model[STATES : 2 * STATES]
    shock = max(range(STATES), key=lambda s: float(rv[s]))
    others = sorted((s for s in range(STATES) if s != shock), key=lambda s: float(efficiency[s]))
    order = np.array([*others, shock])
    places = [k * STATES + order for k in range(4)]
    places += [4 * STATES + STATES * s + order for s in order]
    return np.concatenate([model[np.concatenate(places)], model[MODEL_ROWS:]])


def _days(x: F8, scale: Scale) -> F8:
    """The last 20 days of a series side by side, (rows a day, DAYS); NaN before its begin."""
    whole = np.full(DAYS * scale.rows, np.nan)
    tail = x[-len(whole) :]
    whole[len(whole) - len(tail) :] = tail
    return np.ascontiguousarray(whole.reshape(DAYS, scale.rows).T)


def _make(domain: Domain, scale: Scale) -> Callable[[Streams, int, I8], F8]:
    def make(streams: Streams, row: int, lanes: I8) -> F8:
        first = max(0, row - FIT_BARS)
        grid = streams.panel.grid
        closed = closing(grid.minute[first:row], scale.every)
        out = np.full((len(lanes), len(PARAMETERS)), np.nan)
        for k, lane in enumerate(lanes.tolist()):
            x, y = (z[first:row, lane] for z in observed(streams, domain))
            if (~np.isnan(x)).sum() < needed(FIT_BARS):
                continue
            u, v = _days(x[closed], scale), _days(y[closed], scale)
            places = np.flatnonzero(~np.isnan(u)).astype(np.int64)
            drawn = picks(streams.panel.pairs[lane], domain, scale, int(grid.week[row]), places)
            out[k] = labelled(fit_chain(u, v, drawn, SHORT, LONG))
        return out

    return make


def _fit(domain: Domain, scale: Scale) -> Fit:
    return Fit(
        name=f"hmm_{scale.name}_{domain}",
        dataset="hmm_regime_dual",
        parameters=PARAMETERS,
        every="week",
        sees=Fitted(OBSERVED[domain], FIT_BARS, "week"),
        make=_make(domain, scale),
        summary=f"Hidden Markov chain of three states on {scale.name} bars of the {domain} stream: {STARTS} starts of "
        f"{SHORT} rounds on a fifth of 20 days, the best {LONG} rounds on all",
    )


FITS: dict[tuple[str, Domain], Fit] = {(s.name, d): _fit(d, s) for s in SCALES for d in DOMAINS}


def in_force(streams: Streams, fit: Fit) -> tuple[F8, I4]:
    """Parameters (fits, pairs, parameters) and, for each row, which of them rule; -1 where the loaded bars do not hold
    all that a fit could see."""
    panel = streams.panel
    latest = latest_points(panel.grid, "week", streams.calendar)
    whole = bool((panel.first >= panel.grid.minute[0]).all()) if len(panel.grid) else False
    points = [row for row in np.unique(latest).tolist() if row >= (0 if whole else FIT_BARS)]
    which = np.full(len(latest), -1, dtype=np.int32)
    for k, row in enumerate(points):
        which[latest == row] = k
    found = [fitted(fit, streams, row) for row in points]
    return np.array(found).reshape(len(points), len(panel.pairs), len(fit.parameters)), which


def models(values: F8) -> F8:
    """Parameters (fits, pairs, parameters) as the filter wants them."""
    parts = [np.ascontiguousarray(values[:, :, STATES * k : STATES * (k + 1)]) for k in range(4)]
    move = values[:, :, 4 * STATES : MODEL_ROWS].reshape(*values.shape[:2], STATES, STATES)
    return arrange(parts[0], parts[1], parts[2], parts[3], move)

"""hmm_regime, states: filtered probabilities of a hidden Markov chain and what follows from them; 20 columns a domain.

The chain has three states and emits (ln RV_15, efficiency_15), a step a minute or every five. The model in force was
estimated at the week's first open minute; probabilities use the bars up to t, never later ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import FeatureError
from bqx.features.declare import Column
from bqx.features.families.hmm_regime_states_fit import (
    BURN,
    FIT_BARS,
    FITS,
    OBSERVED,
    REGIMES,
    SCALES,
    Scale,
    W,
    in_force,
    models,
    observed,
)
from bqx.features.families.hmm_regime_states_reference import state_reference
from bqx.features.families.hmm_regime_states_support import Held, Sampled, closing
from bqx.features.kernels.hidden_markov import filtered
from bqx.features.kernels.hidden_markov_fit import LEAST_MOVE, STATES
from bqx.features.kernels.mathfun import log_ratio
from bqx.features.kernels.moments import centre
from bqx.features.streams import Domain, Streams
from bqx.features.support import All, Fitted, Support, Trajectory, Window, needed

F8 = NDArray[np.float64]

PERSIST = 60
KINDS = (*(f"p_{regime}" for regime in REGIMES), "state", "dur", "p_switch", "entropy", "exp_dur", "nll")
"""In the order of `kernels.hidden_markov.filtered`."""
LISTED = (*KINDS, "persist")

UNIT = (0.0, 1.0)
ZERO_OK, UNDEFINED = frozenset({"zero_ok"}), frozenset({"may_be_undefined"})
STILL = f"NULL where the quote stood still for {W} bars (ln 0), or more than a tenth of the fit's bars did"
HAMILTON = "Hamilton 1989; Rabiner 1989"


def _support(domain: Domain, scale: Scale, values: int) -> Support:
    seen = OBSERVED[domain]
    steps = seen if scale.every == 1 else Sampled(seen, scale.every)
    taken = Trajectory(steps, need=values, burn=BURN, before=False)
    whole = All((seen, taken, Fitted(seen, FIT_BARS, "week")))
    return whole if scale.every == 1 else Held(whole, scale.every)


def _column(kind: str, scale: Scale, domain: Domain) -> Column:
    def make(
        unit: str,
        formula: str,
        bounds: tuple[float, float] = (-np.inf, np.inf),
        source: str = "",
        values: int = scale.need,
        zero: str = "",
    ) -> Column:
        return Column(
            f"hmm_{kind}_{scale.name}_{domain}",
            unit,
            formula,
            _support(domain, scale, values),
            "XGAP",
            dtype="i2" if kind == "state" else "f4",
            bounds=bounds,
            tags=UNDEFINED | ZERO_OK if zero else UNDEFINED,
            why_tagged="; ".join(filter(None, (zero, STILL))),
            source=source,
        )

    if kind.startswith("p_") and kind != "p_switch":
        return make("0–1", f"filtered probability of the {kind[2:]} state", UNIT, HAMILTON)
    if kind == "state":
        return make("code", "most probable state: 0 calm, 1 trend, 2 shock", (0.0, 2.0), HAMILTON, zero="0 is calm")
    if kind == "dur":
        top = log_ratio(1.0 + scale.cap, 1.0)
        return make("–", f"ln(1 + {scale.name} bars since the most probable state changed, at most {scale.cap})",
                    (log_ratio(2.0, 1.0), top), values=scale.cap + 1)  # fmt: skip
    if kind == "p_switch":
        return make("0–1", "sum p_i (1 - A_ii), A the transition probabilities in force", UNIT, HAMILTON)
    if kind == "entropy":
        return make("0–1", "- sum p_i ln p_i / ln 3", UNIT)
    if kind == "exp_dur":
        longest = log_ratio(0.6 / LEAST_MOVE, 1.0)
        return make("ln bars", f"ln sum p_i / (1 - A_ii), {scale.name} bars", (0.0, longest), HAMILTON)
    return make("nat", "- ln of the density that the step before gave to (ln RV_15, efficiency_15)", source=HAMILTON)


def _persistence(scale: Scale, domain: Domain) -> Column:
    of = _support(domain, scale, scale.need)
    return Column(f"hmm_persist_{scale.name}_{domain}", "0–1", f"mean of max p_i over {PERSIST} minutes",
                  Window(of, PERSIST, "SEG"), "XGAP", bounds=(1.0 / STATES, 1.0), tags=UNDEFINED,
                  why_tagged=STILL)  # fmt: skip


def _columns(domain: Domain) -> Iterator[Column]:
    for kind in KINDS:
        for scale in SCALES:
            yield _column(kind, scale, domain)
    for scale in SCALES:
        yield _persistence(scale, domain)


def columns(domain: Domain) -> list[Column]:
    """20 columns, in the order of the catalogue."""
    return list(_columns(domain))


def parse(column: str) -> tuple[str, Scale, Domain]:
    """Kind, scale and domain of a column's name."""
    found = re.fullmatch(rf"hmm_({'|'.join(LISTED)})_(1m|5m)_(rate|bqx)", column)
    if found is None:
        raise FeatureError(f"hmm_regime has no column {column!r}")
    scale = next(s for s in SCALES if s.name == found[2])
    return found[1], scale, "rate" if found[3] == "rate" else "bqx"


def compute(streams: Streams, domain: Domain, names: Sequence[str]) -> dict[str, F8]:
    """The named columns, float64 (n, pairs), NaN for NULL."""
    wanted = [parse(name) for name in names]
    out: dict[str, F8] = {}
    for scale in SCALES:
        kinds = {kind for kind, s, _ in wanted if s is scale}
        if not kinds:
            continue
        found = _filtered(streams, domain, scale)
        if "persist" in kinds:
            found["persist"] = _mean_of_largest(found, streams)
        out |= {f"hmm_{kind}_{scale.name}_{domain}": found[kind] for kind in kinds}
    return {name: out[name] for name in names}


def _filtered(streams: Streams, domain: Domain, scale: Scale) -> dict[str, F8]:
    values, which = in_force(streams, FITS[scale.name, domain])
    grid = streams.panel.grid
    closed = closing(grid.minute, scale.every)
    x, y = observed(streams, domain)
    found = filtered(x, y, models(values), which, grid.seg_age, closed, BURN, scale.need, scale.cap)
    return dict(zip(KINDS, found, strict=True))


def _mean_of_largest(found: dict[str, F8], streams: Streams) -> F8:
    calm, trend, shock = (found[f"p_{regime}"] for regime in REGIMES)
    largest = np.maximum(np.maximum(calm, trend), shock)
    shift, excess, _ = centre(largest, streams.panel.grid.seg_age, PERSIST, needed(PERSIST), 1)
    return np.minimum(np.maximum(shift + excess, 1.0 / STATES), 1.0)


def reference(streams: Streams, column: str, row: int, pair: int) -> float:
    """One value the slow way, with the models of the same fits."""
    kind, scale, domain = parse(column)
    return state_reference(streams, kind, scale, domain, row, pair)

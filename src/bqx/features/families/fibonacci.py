"""fibonacci: the last leg between a high and a low, how far it has been taken back, and which of its levels are near.

56 columns a domain: extremes of three rolling windows and the last confirmed swings, on the additive bars.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import Column, Compute, Dataset
from bqx.features.families.fibonacci_reference import make_reference
from bqx.features.families.fibonacci_series import ACROSS, ATR, HALF, INSIDE, LEVELS, REACH, Legs
from bqx.features.families.technical import level_of, wilder_support
from bqx.features.streams import Domain, Streams
from bqx.features.support import All, Lag, Policy, Support, Trajectory, Window

F8 = NDArray[np.float64]

ENGINES = (*(f"r{n}" for n in INSIDE), f"r{ACROSS}", "fx")
SOURCE = "Fischer 1993"
FLAT = "NULL where the window does not move"
NO_LEG = f"NULL unless a swing high and a lower swing low were confirmed in the last {REACH} bars"
NO_SWING = f"NULL unless a swing high and a swing low were confirmed in the last {REACH} bars"
EDGE = "a close at the high or the low"
SPACE = (-np.inf, np.inf)


def seen(domain: Domain, engine: str) -> Support:
    """What the extremes of an engine see. A swing needs its neighbours only; how far back it may lie is the burn."""
    level = level_of(domain)
    if engine == "fx":
        return All((level, Trajectory(level, 2 * HALF + 1, REACH + HALF, before=False)))
    bars = int(engine[1:])
    return All((level, Window(level, bars, "XGAP" if bars == ACROSS else "SEG")))


def _columns(domain: Domain) -> Iterator[Column]:
    atr = wilder_support(Lag(level_of(domain), 1, "SEG"), ATR)
    support = {e: seen(domain, e) for e in ENGINES}
    near: dict[str, Support] = {e: All((s, atr)) for e, s in support.items()}
    twins = {"r60": f"technical_{domain}.williams_r_60", "r240": f"momentum_w240_{domain}.pos_range"}

    def make(
        name: str,
        unit: str,
        formula: str,
        engine: str,
        of: Mapping[str, Support],
        bounds: tuple[float, float] = SPACE,
        zero: str = "",
        undefined: str = "",
        alias: str | None = None,
        source: str = "",
        code: bool = False,
    ) -> Column:
        tags = frozenset(t for t, why in (("zero_ok", zero), ("may_be_undefined", undefined)) if why)
        policy: Policy = "SEG" if of is support and engine in twins else "XGAP"
        return Column(f"fib_{name}_{engine}", unit, formula, of[engine], policy, "i2" if code else "f4", bounds, tags,
                      "; ".join(filter(None, (zero, undefined))), alias, source)  # fmt: skip

    part = {e: (-1.0, 2.0) if e == "fx" else (0.0, 1.0) for e in ENGINES}
    leg = {e: NO_LEG if e == "fx" else FLAT for e in ENGINES}
    for e in ENGINES:
        yield make("pos", "–", "(c - lo) / (hi - lo), within -1 .. 2", e, support, part[e], EDGE, leg[e], twins.get(e))
    for e in ENGINES:
        yield make("range", "bps", "hi - lo", e, support, (0.0, np.inf), "" if e == "fx" else "a window that stands "
                   "still", NO_LEG if e == "fx" else "")  # fmt: skip
    for e in ENGINES:
        yield make("dir", "code", "1 where the high is the later of the two, else -1", e, support, (-1.0, 1.0),
                   undefined=leg[e], code=True)  # fmt: skip
    for which in ("high", "low"):
        for e in ENGINES:
            bounds = (float(HALF), float(REACH)) if e == "fx" else (0.0, float(e[1:]) - 1.0)
            yield make(f"age_{which}", "bars", f"bars since the {which}, the latest of equals", e, support, bounds,
                       "" if e == "fx" else f"this bar is the {which}", NO_SWING if e == "fx" else "",
                       code=True)  # fmt: skip
    for e in ENGINES:
        yield make("retrace", "–", "(hi - c) / (hi - lo) where dir = 1, else (c - lo) / (hi - lo), within -1 .. 2", e,
                   support, part[e], EDGE, leg[e], source=SOURCE)  # fmt: skip
    for level, x in LEVELS.items():
        at = f"lo + {1 - x:.3f} (hi - lo)" if x < 0 else f"hi - {x:g} (hi - lo)"
        for e in ENGINES:
            yield make(f"prox_{level}", "0–1", f"exp(-|c - L| / (atr_{ATR} / 4)), L = {at} where dir = 1, else its "
                       "mirror image", e, near, (0.0, 1.0), "a level hundreds of ranges away", _faded(leg[e]),
                       source=SOURCE)  # fmt: skip
    for e in ENGINES:
        yield make("nearest", "ATR", f"(c - L) / atr_{ATR}, L the nearest of the seven levels", e, near, SPACE,
                   "a close on a level", _faded(leg[e]), source=SOURCE)  # fmt: skip


def _faded(why: str) -> str:
    return f"{why}, or where the ranges have faded below 1e-9 bps"


def split(name: str) -> tuple[str, str]:
    """Quantity and engine of a column name."""
    what, _, engine = name.removeprefix("fib_").rpartition("_")
    return what, engine


def value(legs: Legs, name: str) -> F8:
    """A column."""
    what, engine = split(name)
    if what.startswith("prox_"):
        return legs.proximity(engine, what.removeprefix("prox_"))
    values: dict[str, Callable[[], F8]] = {
        "pos": lambda: legs.place(engine),
        "range": lambda: legs.range(engine),
        "dir": lambda: legs.direction(engine),
        "age_high": lambda: legs.age(engine, 0),
        "age_low": lambda: legs.age(engine, 1),
        "retrace": lambda: legs.retrace(engine),
        "nearest": lambda: legs.nearest(engine),
    }
    return values[what]()


def _make_compute(domain: Domain) -> Compute:
    def compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        legs = Legs(streams, domain)
        return {name: value(legs, name) for name in names}

    return compute


def _dataset(domain: Domain) -> Dataset:
    return Dataset(
        family="fibonacci",
        domain=domain,
        columns=tuple(_columns(domain)),
        compute=_make_compute(domain),
        reference=make_reference(domain),
        stage="1.6.9a" if domain == "rate" else "1.6.14",
        summary=f"Fibonacci retracements and extensions of the last leg of the {domain} stream.",
        inherited=domain == "rate",
    )


DATASETS = (_dataset("rate"), _dataset("bqx"))

"""events: clocks to and since scheduled events, as the project's schedule was published, and since jumps; 12 columns,
an extension.

Without a schedule (key `features.schedule` of bqx.toml) only the two jump clocks have values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import EXTENSION, Column, Dataset
from bqx.features.families.extensions.events_reference import reference
from bqx.features.kernels import clocks
from bqx.features.kernels import jump_volatility as jumps
from bqx.features.kernels.ages import event_age
from bqx.features.kernels.lags import lag_inside
from bqx.features.kernels.oscillators import ratio
from bqx.features.streams import PRICE, WINDOWS, Domain, Streams, momentum_support
from bqx.features.support import All, Always, Lag, Support, Trajectory, Window, needed
from bqx.market.schedule import KINDS, REGIONS

F8 = NDArray[np.float64]

CAP, SOON = clocks.CAP, clocks.SOON
BARS = 240
JUMP = 4.0
BURN = 2 * CAP
"""Head start of a jump clock: it has seen CAP changes by then, though not those of a segment's first 240 bars."""

ZERO_OK, UNDEFINED = frozenset({"zero_ok"}), frozenset({"may_be_undefined"})
REACH = "NULL without a schedule, and where it was not published to go on"
BEFORE = f"{REACH}, and in its first day"

WANTED = {
    "high": ("high-impact (importance 3)", clocks.IMPORTANCE, 3),
    "cb": ("central-bank", clocks.KIND, KINDS["cb"]),
    "us": ("US", clocks.REGION, REGIONS["us"]),
    "eu": ("euro-area", clocks.REGION, REGIONS["eu"]),
}
SINCE = ("high", "cb")
LEVEL: dict[Domain, Support] = {"rate": PRICE, "bqx": momentum_support(WINDOWS[0])}


def _columns() -> Iterator[Column]:
    always, known = Always(), "published by t and not withdrawn"
    for name, (words, _, _) in WANTED.items():
        yield Column(f"min_to_next_{name}", "min", f"minutes to the next {words} event, {known}, at most {CAP}", always,
                     "NONE", "i2", (1.0, CAP), UNDEFINED, REACH)  # fmt: skip
    within = f"the next event within {SOON} minutes, {known}"
    yield Column("next_importance", "code", f"importance 1-3 of {within}; 0 without one", always, "NONE", "i2",
                 (0.0, 3.0), ZERO_OK | UNDEFINED, f"0 is none; {REACH}")  # fmt: skip
    codes = ", ".join(f"{code} {name}" for name, code in REGIONS.items())
    yield Column("next_region", "code", f"region of {within}: {codes}; 0 without one", always, "NONE", "i2", (0.0, 9.0),
                 ZERO_OK | UNDEFINED, f"0 is none; {REACH}")  # fmt: skip
    yield Column("multi_event_flag", "flag", f"1 if two events or more, {known}, lie within {SOON} minutes", always,
                 "NONE", "i2", (0.0, 1.0), ZERO_OK | UNDEFINED, f"a flag; {REACH}")  # fmt: skip
    for name in SINCE:
        yield Column(f"min_since_{name}", "min", f"minutes since the last {WANTED[name][0]} event, at most {CAP}",
                     always, "NONE", "i2", (0.0, CAP), ZERO_OK | UNDEFINED, f"0 in its minute; {BEFORE}")  # fmt: skip
    yield Column("event_decay", "0–1", "exp(- min_since_high / 60)", always, "NONE", bounds=(0.0, 1.0), tags=UNDEFINED,
                 why_tagged=BEFORE)  # fmt: skip
    for domain, level in LEVEL.items():
        moves = All((Lag(level, 1, "SEG"), Window(Lag(level, 1, "SEG"), BARS, "SEG")))
        seen = All((moves, Trajectory(moves, CAP + 1, BURN, before=False)))
        dy = "dy" if domain == "rate" else "dM"
        yield Column(f"min_since_jump_{domain}", "min", f"minutes with a value since abs({dy}) > {JUMP:g} sqrt(BV / "
                     f"{BARS}), BV of {BARS} bars, at most {CAP}", seen, "XGAP", "i2", (0.0, CAP), ZERO_OK | UNDEFINED,
                     f"0 in a jump's minute; NULL where {BARS} bars stand still",
                     source="Lee & Mykland 2008")  # fmt: skip


def _jump_clock(streams: Streams, domain: Domain) -> F8:
    stream, age = streams.stream(domain), streams.panel.grid.seg_age
    terms = jumps.jump_terms(stream.change, stream.close, age)
    root = jumps.jump_measures(terms, age, BARS, needed(BARS), frozenset({jumps.BIPOWER_ROOT}))[jumps.BIPOWER_ROOT]
    # dy as the terms have it: since the bar before
    change = lag_inside(stream.close, age, 1)
    return event_age(ratio(np.abs(change), root), age, JUMP, CAP, BURN)


def _of_schedule(streams: Streams, names: Sequence[str]) -> dict[str, F8]:
    """The same for all pairs. Shapes (n,)."""
    minute, schedule = streams.panel.grid.minute, streams.anchors.schedule
    if schedule is None or not schedule.events:
        return {name: np.full(len(minute), np.nan) for name in names}
    events = (schedule.table, schedule.earliest_after, minute)
    found: dict[str, F8] = {}
    for name, (_, column, value) in WANTED.items():
        if f"min_to_next_{name}" in names:
            found[f"min_to_next_{name}"] = clocks.to_next(*events, column, value)
        if name in SINCE:
            found[f"min_since_{name}"] = clocks.since_last(*events, column, value)
    near = clocks.soon(*events)
    found |= {"next_importance": near[clocks.NEXT], "next_region": near[clocks.NEXT_REGION]}
    found["multi_event_flag"] = near[clocks.SEVERAL]
    found["event_decay"] = clocks.decay(found["min_since_high"])
    return found


def _compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
    scheduled = [name for name in names if not name.startswith("min_since_jump")]
    shape = streams.panel.shape
    one = _of_schedule(streams, scheduled) if scheduled else {}
    found: dict[str, F8] = {name: np.repeat(value[:, None], shape[1], axis=1) for name, value in one.items()}
    for domain in LEVEL:
        if f"min_since_jump_{domain}" in names:
            found[f"min_since_jump_{domain}"] = _jump_clock(streams, domain)
    return {name: found[name] for name in names}


DATASET = Dataset(
    family="events",
    domain="dual",
    columns=tuple(_columns()),
    compute=_compute,
    reference=reference,
    stage=EXTENSION,
    counted=False,
    summary="Clocks to and since scheduled events as they were published, and since jumps.",
    uses=frozenset({"schedule"}),
)

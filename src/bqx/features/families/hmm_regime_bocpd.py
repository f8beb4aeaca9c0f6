"""BOCPD columns of hmm_regime: how long the present regime of the changes has lasted, 10 columns a domain.

The series is dy over its usual deviation at this minute of the week, so that the daily cycle is no change of regime.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import FeatureError
from bqx.features.declare import Column
from bqx.features.families.hmm_regime_bocpd_reference import bocpd_reference
from bqx.features.families.hmm_regime_cusum import BARS, scored, step_support
from bqx.features.kernels.before import score_before
from bqx.features.kernels.change_points import RECENT, change_points
from bqx.features.kernels.mathfun import log_ratio
from bqx.features.kernels.minute_of_week import weekly_deviations
from bqx.features.kernels.run_lengths import LONGEST, SLOTS
from bqx.features.streams import Domain, Streams
from bqx.features.support import All, Mask, Profile, Support, Trajectory, View, needed
from bqx.market.calendar import WEEK, Calendar

F8 = NDArray[np.float64]

HAZARDS = {"h250": 250, "h1000": 1000}
"""Expected values between two changes."""
KINDS = ("run_map", "run_mean", "p_recent", "entropy", "var_shift")
"""In the order of `kernels.change_points`."""
NEED, BURN = LONGEST, 2400
"""Values a trajectory must have taken in, so that the longest run is possible; open minutes it begins before its
segment, 1.2 times as many."""

STILL = "NULL, and held, where the quote stood still for 1440 bars"
SOURCE = "Adams & MacKay 2007"


@dataclass(frozen=True, slots=True)
class Glimpse(Support):
    """Uses what `of` sees where it is there, and does without it where it is not."""

    of: Support

    @property
    def warmup(self) -> int:
        return 0

    def earliest(self, at: int, calendar: Calendar) -> int:
        return self.of.earliest(at, calendar)

    def valid(self, view: View) -> Mask:
        return view.full

    def why(self, view: View, row: int, pair: int) -> str | None:
        return None


def support(domain: Domain) -> Support:
    """What every BOCPD column sees: dy and its deviation, by the minute of the week once four weeks are there; the
    trailing deviation of the two's ratio; its trajectory."""
    step = step_support(domain)
    ratio = All((scored(step), Glimpse(Profile(step))))
    usable = scored(ratio)
    return All((usable, Trajectory(usable, need=NEED, burn=BURN, before=False)))


def _column(kind: str, hazard: str, domain: Domain) -> Column:
    most, rate = log_ratio(1.0 + LONGEST, 1.0), HAZARDS[hazard]
    unit, formula, bounds, zero = {
        "run_map": ("–", "ln(1 + most probable run length)", (0.0, most), "a run that has just ended"),
        "run_mean": ("–", "ln(1 + mean run length)", (0.0, most), ""),
        "p_recent": ("0–1", f"probability that the run is at most {RECENT} values long", (1.0 / rate, 1.0), ""),
        "entropy": ("0–1", f"entropy of the run length over ln {SLOTS}", (0.0, 1.0), ""),
        "var_shift": ("–", f"ln of the predictive variance of the most probable run over that of {BARS} bars",
                      (-np.inf, np.inf), ""),
    }[kind]  # fmt: skip
    dy = "dy" if domain == "rate" else "dM"
    return Column(
        f"bocpd_{kind}_{hazard}_{domain}",
        unit,
        f"{formula}; changes every {rate} values, normal-inverse-gamma runs of {dy} / usual deviation",
        support(domain),
        "XGAP",
        bounds=bounds,
        tags=frozenset({"may_be_undefined", "zero_ok"} if zero else {"may_be_undefined"}),
        why_tagged="; ".join(filter(None, (zero, STILL))),
        source=SOURCE,
    )


def columns(domain: Domain) -> list[Column]:
    """The columns of a domain, in the catalogue's order."""
    return [_column(kind, hazard, domain) for kind in KINDS for hazard in HAZARDS]


def parse(column: str) -> tuple[str, str, Domain]:
    """Kind, hazard and domain of a column name."""
    for domain in ("rate", "bqx"):
        for hazard in HAZARDS:
            tail = f"_{hazard}_{domain}"
            kind = column.removeprefix("bocpd_").removesuffix(tail)
            if column == f"bocpd_{kind}{tail}" and kind in KINDS:
                return kind, hazard, "rate" if domain == "rate" else "bqx"
    raise FeatureError(f"there is no BOCPD column {column!r}")


def standardised_changes(streams: Streams, domain: Domain) -> tuple[F8, F8]:
    """dy over its usual deviation (at this minute of the week, else of the day before t), and the trailing variance of
    that. (n, pairs)."""
    grid, change = streams.panel.grid, streams.stream(domain).change
    day = score_before(change, grid.seg_age, BARS, needed(BARS))[1]
    usual = weekly_deviations(change, grid.week, grid.minute_of_week, WEEK)
    x = np.where(np.isnan(day), np.nan, change / np.where(np.isnan(usual), day, usual))
    deviation = score_before(x, grid.seg_age, BARS, needed(BARS))[1]
    return x, deviation * deviation


def complete(streams: Streams, seen: Support) -> NDArray[np.bool_]:
    """Whether the panel holds all that values of each segment can see, or all of the pair's history. Others are there
    because later values need their bars, not theirs; to leave them out saves most of the work. (segments, pairs)."""
    panel, calendar = streams.panel, streams.calendar
    minutes = panel.grid.minute
    opens = minutes[panel.grid.seg_age == 0].tolist()
    enough = np.array([seen.earliest(at, calendar) >= minutes[0] for at in opens], dtype=bool)
    whole = panel.first >= minutes[0] if len(minutes) else np.ones(panel.shape[1], dtype=bool)
    return np.asarray(enough[:, None] | whole[None, :])


def compute(streams: Streams, domain: Domain, names: Sequence[str]) -> dict[str, F8]:
    """The named columns of a domain, (n, pairs)."""
    wanted = [(name, *parse(name)[:2]) for name in names]
    if not wanted:
        return {}
    x, variance = standardised_changes(streams, domain)
    hazards = (1.0 / HAZARDS["h250"], 1.0 / HAZARDS["h1000"])
    found = change_points(
        x, variance, streams.panel.grid.seg_age, complete(streams, support(domain)), hazards, NEED, BURN
    )
    order = [(kind, hazard) for hazard in HAZARDS for kind in KINDS]
    return {name: found[order.index((kind, hazard))] for name, kind, hazard in wanted}


def reference(streams: Streams, column: str, row: int, pair: int) -> float:
    """One value, the slow way."""
    kind, hazard, domain = parse(column)
    return bocpd_reference(streams, KINDS.index(kind), 1.0 / HAZARDS[hazard], domain, row, pair)

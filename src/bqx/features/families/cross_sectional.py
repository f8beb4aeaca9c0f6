"""cross_sectional: a pair among all pairs of the panel at the same minute; 42 columns.

The panel are the pairs with a value whose price is carried for at most two minutes, at least 20 of the 28. The sign of
a pair's move depends on how it is quoted, so breadth counts signs times loadings of yesterday's first component.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import Column, Dataset
from bqx.features.families.cross_sectional_pc1 import DOMAINS, LOADED, PC1, STEP
from bqx.features.families.cross_sectional_reference import reference
from bqx.features.families.cross_sectional_series import DAY, DOMAIN_OF, EVERY, KEPT_BY, LONG, Panel, W
from bqx.features.groups import LEAST
from bqx.features.identities import mean_rank
from bqx.features.kernels.panel_ranks import FEW
from bqx.features.panel_support import Recent, Refreshed
from bqx.features.streams import PRICE, Streams, momentum_support
from bqx.features.support import All, Everyone, Lag, Support, Volume, Window
from bqx.market.pairs import PAIRS

F8 = NDArray[np.float64]

VOLUME = Volume()
VARIABLES: dict[str, tuple[Support, str, str]] = {
    "ret15": (Recent(Lag(PRICE, 15, "SEG")), "y(t) - y(t-15), rate", "bps"),
    "ret60": (Recent(Lag(PRICE, 60, "SEG")), "y(t) - y(t-60), rate", "bps"),
    "rv60": (Recent(Window(PRICE, W, "SEG")), "sqrt(sum dy^2) of 60 bars, rate", "bps"),
    "m15": (Recent(momentum_support(15)), "M_15", "bps"),
    "m60": (Recent(momentum_support(60)), "M_60", "bps"),
    "relvol": (Recent(All((VOLUME, Window(VOLUME, W, "SEG", before=True)))), "vol_ratio_60 of volume_rate", "–"),
}
"""What is compared across the panel: where it exists, formula, unit."""
EXTREMES = ("ret60", "m60")
ZERO_OK, UNDEFINED = frozenset({"zero_ok"}), frozenset({"may_be_undefined"})
SILENT = "NULL after an hour without a tick"
ONE = "0 where the pair is the median"


def _everyone(of: Support) -> Support:
    return Everyone(of, "panel")


def _of_variables() -> Iterator[Column]:
    edge = 0.5 / len(PAIRS)
    for name, (of, formula, _) in VARIABLES.items():
        silent = name == "relvol"
        yield Column(f"xs_rank_{name}", "0–1", f"(rank - 1/2) / N across the panel, mid-ranks on ties, of {formula}",
                     All((of, _everyone(of))), "SEG", bounds=(edge, 1.0 - edge),
                     tags=UNDEFINED if silent else frozenset(), why_tagged=SILENT if silent else "")  # fmt: skip
    for name, (of, formula, _) in VARIABLES.items():
        yield Column(f"xs_z_{name}", "sd", f"(x - median) / (1.4826 MAD) across the panel, x = {formula}",
                     All((of, _everyone(of))), "SEG", tags=UNDEFINED | ZERO_OK,
                     why_tagged=f"{ONE}, NULL where half of the panel is equal")  # fmt: skip
    for name, (of, formula, unit) in VARIABLES.items():
        silent = name == "relvol"
        yield Column(f"xs_gap_{name}", "bps / –", f"x - median across the panel, x = {formula} ({unit})",
                     All((of, _everyone(of))), "SEG", tags=ZERO_OK | (UNDEFINED if silent else frozenset()),
                     why_tagged=f"{ONE}, {SILENT}" if silent else ONE)  # fmt: skip
    for name, (of, formula, unit) in VARIABLES.items():
        silent = name == "relvol"
        yield Column(f"xs_disp_{name}", "bps / –", f"1.4826 MAD across the panel of {formula} ({unit})", _everyone(of),
                     "SEG", bounds=(0.0, np.inf), tags=UNDEFINED if silent else frozenset(),
                     why_tagged=SILENT if silent else "")  # fmt: skip


def _of_signs() -> Iterator[Column]:
    for name, domain in DOMAIN_OF.items():
        of, formula, _ = VARIABLES[name]
        yield Column(f"xs_breadth_{name}", "0–1", f"abs(mean over the panel of the sign of l x), x = {formula}, l = "
                     f"xs_pc1_load_{domain}", _everyone(All((of, *LOADED[domain]))), "XGAP", bounds=(0.0, 1.0),
                     tags=ZERO_OK | UNDEFINED, why_tagged="as many signs of one kind as of the other; NULL where too "
                     "few pairs moved the day before")  # fmt: skip
    for kind, word in (("top3", "higher"), ("bot3", "lower")):
        for name in EXTREMES:
            of, formula, _ = VARIABLES[name]
            yield Column(f"xs_{kind}_{name}", "flag", f"1 if fewer than {FEW} pairs of the panel "
                         f"have a {word} {formula}", All((of, _everyone(of))), "SEG", "i2", (0.0, 1.0), ZERO_OK,
                         "a flag")  # fmt: skip


def _of_components() -> Iterator[Column]:
    def window(of: Support) -> Support:
        return _everyone(Window(of, LONG, "SEG"))

    for d in DOMAINS:
        yield Column(f"xs_pc1_share_{d}", "0–1", f"largest eigenvalue / N of the panel's correlation matrix of dy, "
                     f"{LONG} bars, made anew every {EVERY} bars of a segment", Refreshed(window(STEP[d]), EVERY),
                     "SEG", bounds=(0.0, 1.0), tags=UNDEFINED, why_tagged="NULL where too few pairs move")  # fmt: skip
    for d in DOMAINS:
        yield Column(f"xs_pc1_load_{d}", "–", "loading on the first component of the panel's correlation matrix of dy "
                     "of the previous trade day, EURUSD positive", All(LOADED[d]), "XGAP", bounds=(-1.0, 1.0),
                     tags=UNDEFINED, why_tagged="NULL where too few pairs moved")  # fmt: skip
    for d in DOMAINS:
        joint = All((STEP[d], _everyone(All((STEP[d], *LOADED[d])))))
        most = (LONG - 1) / math.sqrt(LONG) * (1.0 + 1e-9)
        left = All((joint, Window(joint, DAY, "XGAP", before=True)))
        yield Column(f"xs_idio_z_{d}", "sd", f"z_{LONG} of dy - b f, f = sum l dy / sum l^2, l = xs_pc1_load_{d}, b = "
                     f"slope of dy on f in the {DAY} bars before", All((left, Window(left, LONG, "SEG"))), "XGAP",
                     bounds=(-most, most), tags=UNDEFINED,
                     why_tagged="NULL where quotes stand still")  # fmt: skip
    for d in DOMAINS:
        of = VARIABLES[KEPT_BY[d]][0]
        yield Column(f"xs_rank_stab_{d}", "−1–1", f"Spearman's rank correlation across pairs of {KEPT_BY[d]}(t) and "
                     f"{KEPT_BY[d]}(t-{EVERY})", _everyone(Lag(of, EVERY, "SEG")), "SEG", bounds=(-1.0, 1.0),
                     tags=UNDEFINED, why_tagged="NULL where all are equal", source="Spearman 1904")  # fmt: skip
    for d in DOMAINS:
        yield Column(f"xs_avg_corr_{d}", "0–1", f"mean over pairs of pairs of abs(correlation of dy), {LONG} bars",
                     window(STEP[d]), "SEG", bounds=(0.0, 1.0), tags=UNDEFINED,
                     why_tagged="NULL where too few pairs move")  # fmt: skip


def _compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
    panel = Panel(streams)
    found: dict[str, F8] = {}
    for name in names:
        kind, _, of = name.removeprefix("xs_").rpartition("_")
        if kind == "breadth":
            value = panel.breadth(of)
        elif of in VARIABLES:
            value = panel.measure(kind, of)
        else:
            value = getattr(panel, kind)(of)
        found[name] = panel.lanes.back(value)
    return found


DATASET = Dataset(
    family="cross_sectional",
    domain="dual",
    columns=(*_of_variables(), *_of_signs(), *_of_components()),
    compute=_compute,
    reference=reference,
    stage="1.6.21",
    summary=f"A pair among the pairs of the panel, of which {LEAST} must have a value: rank, distance, breadth, first "
    "principal component.",
    uses=frozenset({"panel", "volume"}),
    fits=tuple(PC1.values()),
    identities=tuple(
        mean_rank(f"ranks of {name}", f"xs_rank_{name}") for name in VARIABLES if name != "relvol"
    ),  # an hour without a tick makes relvol NULL for a member of the panel
)

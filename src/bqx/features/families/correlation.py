"""correlation: a pair against the pairs that share its base, its quote or neither; 28 columns a domain.

For EURUSD the base group are the 6 other pairs with EUR, turned so that all rise with EUR; the quote group the 6 others
with USD, turned so that all fall when USD rises, as EURUSD does; the cross group the 15 with neither, by size only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import Column, Compute, Dataset
from bqx.features.families.correlation_reference import make_reference
from bqx.features.families.correlation_series import BACK, DAY, GROUPS, LONG, Correlations
from bqx.features.groups import Group
from bqx.features.panel_support import Jointly, Recent
from bqx.features.streams import PRICE, WINDOWS, Domain, Streams, momentum_support
from bqx.features.support import All, Everyone, Lag, Support, Window, needed

F8 = NDArray[np.float64]

BARS = (30, 60, 120, 240)
W = 60
SIDES: tuple[Group, ...] = ("base", "quote")

M = momentum_support(WINDOWS[0])
SERIES: dict[Domain, Support] = {"rate": PRICE, "bqx": M}
ROUNDING = 1.0 + 1e-9
UNDEFINED, ZERO_OK = frozenset({"may_be_undefined"}), frozenset({"zero_ok"})
FLAT = "NULL where a pair's series is flat over the window"
STILL = "exactly 0 where quotes stand still"


def parse(column: str) -> tuple[str, Group, int]:
    """Quantity, group and window of a column name."""
    head, _, tail = column.rpartition("_")
    if not tail.isdigit():
        head, tail = column, str(W)
    kind, _, side = head.rpartition("_")
    group = next(g for g in GROUPS if g == side)
    return kind, group, int(tail)


def _columns(domain: Domain) -> Iterator[Column]:
    series, x = SERIES[domain], "dy" if domain == "rate" else "M"
    recent = Recent(series)
    for group in GROUPS:
        for w in BARS:
            cross = group == "cross"
            of = f"abs(corr_{w})" if cross else f"corr_{w}"
            yield Column(f"corr_{group}_{w}", "0–1" if cross else "−1–1", f"mean of {of} of {x} with the "
                         f"{15 if cross else 6} pairs of the {group} group", Jointly(recent, w, group), "SEG",
                         bounds=(0.0 if cross else -1.0, 1.0), tags=UNDEFINED, why_tagged=FLAT)  # fmt: skip
    for group in GROUPS:
        most = 1.0 if group == "cross" else 2.0
        yield Column(f"corr_delta_{group}_{W}", "–", f"corr_{group}_{W}(t) - corr_{group}_{W}(t-{BACK})",
                     Lag(Jointly(recent, W, group), BACK, "SEG"), "SEG", bounds=(-most, most), tags=UNDEFINED,
                     why_tagged=FLAT)  # fmt: skip
    for group in GROUPS:
        now, most = Jointly(recent, W, group), (DAY - 1) / math.sqrt(DAY) * ROUNDING
        yield Column(f"corr_z_{group}_{W}", "sd", f"z-score of corr_{group}_{W} among its last {DAY} values",
                     All((now, Window(now, DAY, "XGAP"))), "XGAP", bounds=(-most, most), tags=UNDEFINED,
                     why_tagged=FLAT)  # fmt: skip
    moved = Lag(series, W, "SEG")
    for group in SIDES:
        yield Column(f"rel_strength_{group}_{W}", "sd", f"(R - mean) / sample sd across the {group} group, "
                     f"R = y(t) - y(t-{W})", All((moved, Everyone(moved, group))), "SEG", tags=UNDEFINED,
                     why_tagged="NULL where all members moved alike")  # fmt: skip
    for group in SIDES:
        yield Column(f"divergence_{group}_{W}", "bps", f"sample sd across the {group} group of R = y(t) - y(t-{W})",
                     Everyone(moved, group), "SEG", bounds=(0.0, np.inf))  # fmt: skip
    for group in SIDES:
        most = math.sqrt(1.0 + 1.0 / (needed(LONG) - 1)) * ROUNDING
        yield Column(f"corr_stability_{group}", "–", f"sample sd of corr_{group}_{W} over {LONG} bars",
                     Window(Jointly(recent, W, group), LONG, "SEG"), "SEG", bounds=(0.0, most), tags=UNDEFINED,
                     why_tagged=FLAT)  # fmt: skip
    for group in SIDES:
        g = Everyone(recent, group)
        lead = All((Window(g, 1, "SEG", before=True), recent))
        lag = All((Window(recent, 1, "SEG", before=True), g))
        yield Column(f"lead_lag_{group}_{W}", "−2–2", f"corr_{W}(g(s-1), {x}(s)) - corr_{W}({x}(s-1), g(s)), g = mean "
                     f"of {x} across the {group} group", All((Window(lead, W, "SEG"), Window(lag, W, "SEG"))), "SEG",
                     bounds=(-2.0, 2.0), tags=UNDEFINED, why_tagged=FLAT)  # fmt: skip
    for group in SIDES:
        spread = Window(series, W, "SEG")
        yield Column(f"vol_ratio_{group}_{W}", "–", f"sample sd of {x} / mean of the {group} group's, {W} bars",
                     All((spread, Everyone(spread, group))), "SEG", bounds=(0.0, np.inf), tags=UNDEFINED | ZERO_OK,
                     why_tagged=f"{STILL}; NULL where those of all members do")  # fmt: skip


def _make_compute(domain: Domain) -> Compute:
    def compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        series = Correlations(streams, domain)
        found: dict[str, F8] = {}
        for name in names:
            kind, group, w = parse(name)
            found[name] = series.lanes.back(getattr(series, kind)(group, w))
        return found

    return compute


def _dataset(domain: Domain) -> Dataset:
    return Dataset(
        family="correlation",
        domain=domain,
        columns=tuple(_columns(domain)),
        compute=_make_compute(domain),
        reference=make_reference(domain, parse),
        stage="1.6.16" if domain == "rate" else "1.6.17",
        summary="Correlation, strength and volatility of a pair against the pairs of its base, its quote and neither, "
        + ("of one-minute returns." if domain == "rate" else "of momentum M."),
        laggable=True,
        uses=frozenset({"panel"}),
    )


DATASETS = (_dataset("rate"), _dataset("bqx"))

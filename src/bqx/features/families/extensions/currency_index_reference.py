"""currency_index the slow way: prices of one minute, turned by name."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from bqx.features.families.correlation import DATASETS
from bqx.features.families.error_correction_support import leg, legs, others
from bqx.features.streams import Streams
from bqx.market.pairs import CURRENCIES, parse_pair

CORRELATION = DATASETS[0].reference


def strength_reference(streams: Streams, currency: str, row: int, back: int | None = None) -> float:
    """ln S since the baseline, or since `back` bars ago."""
    panel, total = streams.panel, []
    for other in CURRENCIES:
        if other == currency:
            continue
        name, sign = leg(currency, other)
        lane = panel.pairs.index(name)
        before = streams.anchors.baseline[name][2] if back is None else float(panel.close[row - back, lane])
        total.append(sign * math.log(float(panel.close[row, lane]) / before))
    return math.fsum(total) / 7


def _residuals_reference(streams: Streams, row: int, pair: str) -> list[float]:
    """ln mid - ln first - ln second of the triangles, bps, from exact fractions."""
    close, pairs = streams.panel.close, streams.panel.pairs
    out = []
    for third in others(pair):
        ratio = Fraction(float(close[row, pairs.index(pair)]))
        for name, sign in legs(pair, third):
            price = Fraction(float(close[row, pairs.index(name)]))
            ratio = ratio / price if sign > 0 else ratio * price
        out.append(1e4 * math.log1p(float(ratio - 1)))
    return out


def reference(streams: Streams, column: str, row: int, pair: int) -> float:
    """One value the slow way."""
    name = streams.panel.pairs[pair]
    own = parse_pair(name)
    if column == "pair_divergence":
        return 0.75 * math.fsum(_residuals_reference(streams, row, name)) / 6
    if column == "triangular_consistency":
        return -float(np.std(_residuals_reference(streams, row, name), ddof=1))
    if column == "related_corr_60":
        sides = [CORRELATION(streams, f"corr_{side}_60", row, pair) for side in ("base", "quote")]
        return math.fsum(sides) / 2
    side, _, kind = column.partition("_")
    currency = {"base": own.base, "quote": own.quote}.get(side, side)
    if kind == "pctile":
        moves = [round(strength_reference(streams, c, row, 60), 15) for c in CURRENCIES]
        mine = moves[CURRENCIES.index(currency)]
        return (sum(m < mine for m in moves) + 0.5 * moves.count(mine)) / 8
    if column == "differential":
        return 1e4 * (strength_reference(streams, own.base, row) - strength_reference(streams, own.quote, row))
    return 100.0 * math.exp(strength_reference(streams, currency, row))

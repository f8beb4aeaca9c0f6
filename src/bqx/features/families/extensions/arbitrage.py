"""arbitrage: what a loop over a pair's triangles would earn at the quotes, spread paid; 4 columns, an extension."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import EXTENSION, Column, Dataset
from bqx.features.families.extensions.arbitrage_reference import reference
from bqx.features.families.extensions.currency_index_support import CarriedQuote, Holders, triangles
from bqx.features.kernels.loops import AGE, BEST, DIRECTION, MIDDLE, carried, loops
from bqx.features.streams import PRICE, Streams
from bqx.features.support import All
from bqx.market.panel import MAX_CARRY

F8 = NDArray[np.float64]

SEEN = Holders(All((CarriedQuote(), PRICE)), "both")
LOOPS = (
    "of the 12 loops base - quote - third - base and back, over 6 thirds: sold at bid, bought at ask, quotes at most "
    f"{MAX_CARRY} minutes old"
)
SOURCE = "specs 5.10"

COLUMNS = (
    Column("arb_best_bps", "bps", f"largest 10^4 (product of the three conversions - 1) {LOOPS}", SEEN, "NONE",
           bounds=(-1e4, np.inf), source=SOURCE, summary="Negative: all loops lose their spreads."),
    Column("arb_mid_bps", "bps", "10^4 (product - 1) of the best loop at mid prices", SEEN, "NONE",
           bounds=(-1e4, np.inf), source=SOURCE),
    Column("arb_dir", "code", "place of the best loop's third currency among the 6 by name, 1-6; positive where the "
           "pair's base is sold for its quote, negative where it is bought", SEEN, "NONE", "i2", (-6.0, 6.0),
           source=SOURCE),
    Column("arb_leg_age", "min", "minutes since the oldest of the best loop's three quotes", SEEN, "NONE", "i2",
           (0.0, float(MAX_CARRY)), frozenset({"zero_ok"}), "all three are of this minute", source=SOURCE),
)  # fmt: skip

MEASURES = {"arb_best_bps": BEST, "arb_mid_bps": MIDDLE, "arb_dir": DIRECTION, "arb_leg_age": AGE}


def _compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
    panel = streams.panel
    if not panel.quotes:
        return {name: np.full(panel.shape, np.nan) for name in names}
    age = panel.grid.seg_age
    bid, ask = (carried(panel.quotes[q], panel.fill_run, age, MAX_CARRY) for q in ("bid_close", "ask_close"))
    found = loops(bid, ask, panel.close, panel.fill_run, *triangles(panel.pairs))
    return {name: found[MEASURES[name]] for name in names}


DATASET = Dataset(
    family="arbitrage",
    domain="dual",
    columns=COLUMNS,
    compute=_compute,
    reference=reference,
    stage=EXTENSION,
    counted=False,
    summary="Gross profit of the best triangular loop at executable quotes, and how old its quotes are.",
    uses=frozenset({"panel", "quotes"}),
)

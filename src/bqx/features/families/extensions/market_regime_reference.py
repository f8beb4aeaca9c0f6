"""market_regime the slow way: currencies by name; the first component by its own reference."""

from __future__ import annotations

import math

from bqx.features.families.cross_sectional_reference import reference as panel
from bqx.features.families.extensions.currency_index_reference import strength_reference
from bqx.features.streams import Streams


def reference(streams: Streams, column: str, row: int, pair: int) -> float:
    """One value the slow way."""
    if column == "mr_systemic":
        return panel(streams, "xs_pc1_share_rate", row, pair)
    risky, safe = (
        math.fsum(1e4 * strength_reference(streams, c, row, 60) for c in names) / len(names)
        for names in (("aud", "nzd", "cad"), ("jpy", "chf"))
    )
    return risky - safe

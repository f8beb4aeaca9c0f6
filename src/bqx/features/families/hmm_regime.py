"""hmm_regime: which regime a pair is in and whether it has just changed; 42 columns a domain.

Three parts: the states of a hidden Markov chain (20), run lengths since the last change point (10) and cumulative sums
(12), of the rate stream and of the bqx stream side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import FeatureError
from bqx.features.declare import Column, Dataset
from bqx.features.families import hmm_regime_bocpd, hmm_regime_cusum, hmm_regime_states
from bqx.features.families.hmm_regime_states_fit import DOMAINS, FITS, REGIMES
from bqx.features.identities import total
from bqx.features.streams import Streams

F8 = NDArray[np.float64]

PARTS = {"hmm": hmm_regime_states, "bocpd": hmm_regime_bocpd, "cusum": hmm_regime_cusum}
"""By the first word of a column's name."""


def _columns() -> Iterator[Column]:
    for part in PARTS.values():
        for pair in zip(*map(part.columns, DOMAINS), strict=True):
            yield from pair


def compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
    out: dict[str, F8] = {}
    for word, part in PARTS.items():
        for domain in DOMAINS:
            mine = [name for name in names if name.startswith(f"{word}_") and name.endswith(f"_{domain}")]
            if mine:
                out |= part.compute(streams, domain, mine)
    return out


def reference(streams: Streams, column: str, row: int, pair: int) -> float:
    word = column.partition("_")[0]
    if word not in PARTS:
        raise FeatureError(f"hmm_regime has no column {column!r}")
    value: float = PARTS[word].reference(streams, column, row, pair)
    return value


DATASET = Dataset(
    family="hmm_regime",
    domain="dual",
    columns=tuple(_columns()),
    compute=compute,
    reference=reference,
    stage="1.6.20",
    summary="Regimes of volatility and efficiency by a hidden Markov chain, change points and cumulative sums.",
    fits=tuple(FITS.values()),
    identities=tuple(
        total(f"regimes of {scale} {domain}", [f"hmm_p_{regime}_{scale}_{domain}" for regime in REGIMES], 1.0)
        for scale in ("1m", "5m")
        for domain in DOMAINS
    ),
)

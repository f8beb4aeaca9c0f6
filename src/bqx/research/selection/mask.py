"""The outcome of one selection: for each candidate whether it is in, and why or why not."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.research.candidates import Candidate

METHODS = ("permutation", "elastic_net", "shap", "mrmr")


@dataclass(frozen=True)
class Mask:
    """`table` has one row a candidate, in candidate order: candidate, signal_domain, lag, selected, why, place (order
    of taking, from 1), borda, stability, certified, cluster, cluster_size, and the rank of each method (1 is best).

    rows : training rows used. bound : on the expected number of certified columns that mean nothing.
    """

    table: pl.DataFrame
    rows: int
    first: int
    last: int
    bound: float
    clusters: int
    shrinkage: float
    seconds: dict[str, float]

    @property
    def selected(self) -> NDArray[np.bool_]:
        return self.table["selected"].to_numpy()

    @property
    def certified(self) -> int:
        return int(self.table["certified"].sum())

    @property
    def digest(self) -> str:
        """Equal for equal masks, to the last bit of every score."""
        hashed = hashlib.sha256()
        for column in self.table:
            hashed.update(column.name.encode())
            values = column.fill_null("") if column.dtype == pl.String else column
            hashed.update(str(values.to_list()).encode())
        return hashed.hexdigest()[:32]

    def counts(self) -> dict[str, Any]:
        """Selected by domain and by reason; left out by reason."""
        taken = self.table.filter(pl.col("selected"))
        out = self.table.filter(~pl.col("selected"))
        return {
            "domains": dict(sorted(Counter(taken["signal_domain"].to_list()).items())),
            "why": dict(sorted(Counter(taken["why"].to_list()).items())),
            "lags": dict(sorted(Counter(str(k) for k in taken["lag"].to_list()).items())),
            "left_out": dict(Counter(kind(text) for text in out["why"].to_list()).most_common()),
            "certified": self.certified,
        }


def kind(why: str) -> str:
    """A reason without its figures and names, for counting."""
    for head in ("drifts", "in its warm-up", "repeats"):
        if why.startswith(head):
            return head
    return "missing" if "missing beyond" in why else why


def table(
    chosen: Sequence[Candidate],
    why: Sequence[str],
    kept: NDArray[np.int64],
    taken: dict[int, str],
    columns: dict[str, Any],
) -> pl.DataFrame:
    """`columns` are arrays over the kept candidates; `taken` and `kept` are as in `select_fold`."""
    n = len(chosen)
    place, reason = np.zeros(n, np.int64), list(why)
    for number, (k, text) in enumerate(taken.items(), start=1):
        place[kept[k]], reason[kept[k]] = number, text
    for k in kept:
        reason[k] = reason[k] or "not among the best"
    data: dict[str, Any] = {
        "candidate": [c.name for c in chosen],
        "signal_domain": [c.signal_domain for c in chosen],
        "lag": [c.lag for c in chosen],
        "selected": place > 0,
        "why": reason,
        "place": pl.Series([int(v) if v else None for v in place], dtype=pl.Int64),
    }
    for name, values in columns.items():
        whole: list[Any] = [None] * n
        for k, value in zip(kept, values.tolist(), strict=True):
            whole[k] = value
        data[name] = whole
    return pl.DataFrame(data)

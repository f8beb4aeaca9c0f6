"""All that can be chosen about a selection, in one hashable record."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from bqx.base.errors import UsageError


@dataclass(frozen=True, slots=True)
class Options:
    """budget : columns to select, at least `rate` and `bqx` of these signal domains, at most `cap` of one cluster.

    every : bars between rows. missing : largest share of NULL beyond the declared. duplicate : |rho| above which a
    column is another. drift : largest shift of the median between the halves, in interquartile ranges. cluster : |rho|
    at which columns are one cluster. block : bars that are permuted and subsampled together. folds : inner ones.
    halves : subsamples for stability, in complementary pairs; per_half : picked in each; certain : share of halves a
    certified column is picked in. rounds : of boosting.
    """

    budget: int = 250
    rate: int = 100
    bqx: int = 100
    cap: int = 3
    every: int = 15
    missing: float = 0.05
    duplicate: float = 0.999
    drift: float = 2.0
    cluster: float = 0.7
    block: int = 240
    folds: int = 3
    halves: int = 100
    per_half: int = 100
    certain: float = 0.9
    rounds: int = 60
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rate + self.bqx > self.budget or min(self.rate, self.bqx, self.cap) < 0 or self.budget < 1:
            raise UsageError(f"quotas of {self.rate} and {self.bqx} do not fit a budget of {self.budget}")
        if self.halves < 2 or self.halves % 2 or not 0.5 < self.certain <= 1.0:
            raise UsageError("stability needs an even number of halves and a share above 0.5")
        if self.every < 1 or self.folds < 2 or self.block < self.every:
            raise UsageError("rows need every >= 1, at least 2 inner folds, and blocks of at least `every` bars")

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def false_picks(self, columns: int) -> float:
        """Bound on the expected number of certified columns that mean nothing (Meinshausen and Buehlmann 2010):
        q^2 / ((2 pi - 1) p), under exchangeable noise columns.

        >>> round(Options(per_half=250).false_picks(2640), 1), round(Options(per_half=102).false_picks(2640), 1)
        (29.6, 4.9)
        """
        return self.per_half**2 / ((2.0 * self.certain - 1.0) * columns)

"""A catalogue of ten datasets for tests of everything around formulas, which would take four times as long with all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bqx.features.catalogue import own_datasets
from bqx.features.declare import Dataset

FEW = ("base_bqx", "ohlc_rate", "time_dual", "returns_raw_rate", "returns_std_rate", "returns_std_bqx", "volume_rate",
       "spread_bqx", "correlation_rate", "hmm_regime_dual")  # fmt: skip
"""One dataset of each kind that a build treats in its own way: levels, gaps, volume, quotes, panel, fits, integers."""


def few() -> dict[str, Dataset]:
    """A catalogue of :data:`FEW`: what these tests show does not depend on which formulas are evaluated."""
    return {name: own_datasets()[name] for name in FEW}


def with_few() -> Iterator[None]:
    """Projects have the catalogue `few` while this runs; the body of a fixture."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bqx.build.project.datasets", few)
        yield

"""Every column live against batch: all datasets but those of `parity_windows.LONG`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from parity_windows import LONG, live_is_batch

from bqx.features.catalogue import own_datasets
from bqx.features.checks import World
from bqx.features.declare import Dataset

HOMES = [home for home in own_datasets().values() if home.name not in LONG]


@pytest.mark.parametrize("home", HOMES, ids=lambda home: home.name)
def test_live_is_batch(home: Dataset, world_for: Callable[[Dataset], World]) -> None:
    live_is_batch(home, world_for(home))

"""What tests of models share: invented rows, and facts for a manifest."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.soak.model_world import FIRST_MINUTE, curved, invented_rows, wandering

__all__ = ["FACTS", "FIRST_MINUTE", "curved", "invented_rows", "wandering"]
FACTS = {
    "dataset": "invented",
    "dataset_hash": "0" * 32,
    "lag_profile": "seed",
    "catalogue_version": "none",
    "simulated": True,
}

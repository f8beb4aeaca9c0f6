"""What tests of datasets and selection share: the invented world's pairs, its built datasets, bare samples."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.soak.selection_world import noise_project, planted_sample

__all__ = ["REAL", "WORLD_PAIRS", "noise_project", "planted_sample"]
WORLD_PAIRS = ("eurusd", "usdjpy")
REAL = ("returns_raw_rate", "returns_std_rate", "technical_rate", "time_dual")
"""Datasets of it that are built from its bars."""

"""The small sibling of `make soak CHECK=cpu-target`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from benchmarks.soak.cpu_target import differences, on_plain_cpu, report

SOME = ("returns_std_rate", "technical_rate", "error_correction_dual")
"""Sums, recursions, and the fits and solvers of our own."""


@pytest.mark.skipif(sys.platform == "win32", reason="the CPU target is set by environment")
def test_a_plain_cpu_gives_the_same_bits(tmp_path: Path) -> None:
    here, other = report(SOME), on_plain_cpu(SOME, tmp_path)
    assert differences(here, other) == []
    assert differences(here, here) == [f"compiled for {here['cpu']} and {here['cpu']}"]
    moved = {**other, "datasets": {**other["datasets"], SOME[1]: "0"}}
    assert differences(here, moved) == [SOME[1]]

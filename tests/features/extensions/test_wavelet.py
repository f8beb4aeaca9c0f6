"""wavelet against PyWavelets; its promises are in test_extension_promises."""

from __future__ import annotations

import numpy as np
import pytest
import pywt
from numpy.typing import NDArray

from bqx.features.families.extensions.wavelet import DELAY
from bqx.features.families.extensions.wavelet_reference import FILTERS
from bqx.features.kernels.wavelets import DB4, overlap, reach

F8 = NDArray[np.float64]
ROWS = 512


@pytest.fixture(scope="module")
def x() -> F8:
    return np.random.default_rng(2).standard_normal((ROWS, 1)).cumsum(axis=0)


def test_the_filter_is_daubechies() -> None:
    assert np.allclose(pywt.Wavelet("db4").rec_lo, DB4, rtol=0, atol=1e-12)
    assert [reach(k) for k in (1, 2, 3)] == [8, 22, 50] == [len(f) for f in (*FILTERS[:2], FILTERS[3])]


def test_agrees_with_pywavelets(x: F8) -> None:
    """The library's stationary transform, scaled to the maximal overlap one, of the series read backwards: its filters
    look ahead there, ours back here. A level is compared where no end of the series is under its filter."""
    found = overlap(x, np.arange(ROWS, dtype=np.int32))
    smooth, *details = pywt.swt(x[::-1, 0], "db4", level=3, trim_approx=True, norm=True)
    theirs = {0: details[2], 1: details[1], 2: details[0], 3: smooth}
    for k, coefficients in theirs.items():
        ours = found[k][:, 0]
        first = reach(min(k + 1, 3)) - 1
        assert np.isnan(ours[:first]).all()
        best = min(_gap(ours, coefficients[::-1], first, shift) for shift in range(-50, 51))
        assert best <= 1e-9, k


def _gap(ours: F8, theirs: F8, first: int, shift: int) -> float:
    """Largest distance, up to the sign that libraries give a detail filter."""
    rows = np.arange(first + 60, ROWS - 60)
    a, b = ours[rows], theirs[rows + shift]
    return float(min(np.abs(a - b).max(), np.abs(a + b).max()))


def test_energies_are_those_of_the_changes() -> None:
    """White noise: level j's detail has 2^-j of the variance, its coefficients are not biased by the window's start."""
    noise = np.random.default_rng(3).standard_normal((60_000, 1))
    found = overlap(noise, np.arange(60_000, dtype=np.int32))
    assert [round(float(np.nanvar(part)), 2) for part in found] == [0.5, 0.25, 0.12, 0.12]


def test_level_two_is_read_as_much_later_as_its_filter_is() -> None:
    centres = [float((np.arange(len(f)) * f * f).sum() / (f * f).sum()) for f in FILTERS[:2]]
    assert round(centres[1]) - round(centres[0]) == DELAY


def test_a_segment_begins_anew(x: F8) -> None:
    age = np.concatenate([np.arange(300), np.arange(ROWS - 300)]).astype(np.int32)
    found = overlap(x, age)
    alone = overlap(np.ascontiguousarray(x[300:]), age[300:])
    for part, other in zip(found, alone, strict=True):
        assert np.array_equal(part[300:], other, equal_nan=True)

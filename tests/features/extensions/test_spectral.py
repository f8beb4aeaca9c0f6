"""spectral against scipy's transform, and on cycles that are known; its promises are in test_extension_promises."""

from __future__ import annotations

import numpy as np
import scipy.fft
import scipy.signal
from numpy.typing import NDArray

from bqx.features.kernels import spectrum
from bqx.features.kernels.spectrum import spectra

F8 = NDArray[np.float64]
ROWS = 200


def series(kind: str) -> F8:
    """Two lanes; the second has holes."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((ROWS, 2)) * (1.0 if kind == "noise" else 0.01)
    if kind == "cycle":
        x += np.sin(2.0 * np.pi * np.arange(ROWS) / 8.0)[:, None]
    x[60:70, 1] = np.nan
    return x


def age() -> NDArray[np.int32]:
    return np.arange(ROWS, dtype=np.int32)


def powers(window: F8) -> F8:
    """Of k / 128, k = 1 .. 64, by scipy."""
    hann = scipy.signal.get_window("hann", 128)
    away = np.nan_to_num(window - np.nanmean(window))
    return np.abs(scipy.fft.rfft(hann * away)[1:]) ** 2


def test_agrees_with_scipy() -> None:
    for kind in ("noise", "cycle"):
        x = series(kind)
        found = spectra(x, age(), 116)
        compared = 0
        for r in range(127, ROWS):
            for j in range(2):
                p = powers(x[r - 127 : r + 1, j])
                share = p / p.sum()
                want = {
                    spectrum.TOTAL: p.sum(),
                    spectrum.DOMINANT: (np.argmax(p) + 1) / 128,
                    spectrum.POWER: share.max(),
                    spectrum.LOWER: share[:6].sum(),
                    spectrum.UPPER: share[25:].sum(),
                    spectrum.ENTROPY: -(share * np.log(share)).sum() / np.log(64),
                    spectrum.CYCLIC: np.log(p.max() / np.median(p)),
                }
                for k, value in want.items():
                    assert abs(found[k][r, j] - value) <= 1e-10 * max(1.0, abs(value)), (kind, k, r, j)
                    compared += 1
        assert compared > 900


def test_the_comparison_sees_another_window() -> None:
    """Hann's symmetric window, one constant away, is not what is compared with."""
    x = series("noise")
    other = np.hanning(128) * (x[:128, 0] - x[:128, 0].mean())
    gap = np.sum(np.abs(scipy.fft.rfft(other)[1:]) ** 2) - spectra(x, age(), 116)[spectrum.TOTAL][127, 0]
    assert abs(gap) > 1e-3


def test_a_cycle_of_eight_bars_is_found() -> None:
    found = spectra(series("cycle"), age(), 116)
    assert (found[spectrum.DOMINANT][127:] == 1 / 8).all()
    assert (found[spectrum.POWER][127:, 0] > 0.6).all()  # Hann spreads a line over three frequencies, 2/3 on the middle
    assert (found[spectrum.EDGES][127:, 0] < 0.15).all()


def test_null_where_nothing_moves_or_too_much_is_missing() -> None:
    x = series("noise")
    x[:150, 0] = 0.25
    x[60:73, 1] = np.nan
    found = spectra(x, age(), 116)
    assert np.isnan(found[spectrum.TOTAL][:150, 0]).all()
    assert not np.isnan(found[spectrum.TOTAL][150:, 0]).any()
    assert np.isnan(found[spectrum.ENTROPY][127 : 60 + 128, 1]).all(), "13 of 128 are missing, 12 may be"
    assert not np.isnan(found[spectrum.ENTROPY][60 + 128 :, 1]).any()

"""Streams, kernels, families and the catalogue of columns."""

from __future__ import annotations


def _without_blas() -> None:
    """Load numba's array functions without its look for SciPy's BLAS, which no kernel may use: importing scipy.linalg
    takes 0.2 to 0.5 s of every process that computes a value. Users' kernels that multiply matrices still find it."""
    from numba.np import linalg

    def absent() -> None:
        raise ImportError

    found = linalg.ensure_blas
    linalg.ensure_blas = absent
    try:
        from numba.np import arraymath  # noqa: F401 - it asks once, when it is imported
    finally:
        linalg.ensure_blas = found


_without_blas()

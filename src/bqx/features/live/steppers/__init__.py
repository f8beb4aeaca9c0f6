"""Steppers by the kernels they continue; importing this registers all of them."""

from bqx.features.live.steppers import by_row, extremes, lags, moments, trajectories

__all__ = ["by_row", "extremes", "lags", "moments", "trajectories"]

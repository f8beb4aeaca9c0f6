"""Monitors of data, features, forecasts and service, calibrated so that they do not cry wolf, and where alerts go."""

"""What a run's forecasts are worth: skill with its interval, tests, calibration, coverage, and the words for it."""

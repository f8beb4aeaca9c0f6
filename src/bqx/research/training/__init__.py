"""Training runs: walk-forward forecasts of pairs and horizons, kept in a folder, and the models fitted last."""

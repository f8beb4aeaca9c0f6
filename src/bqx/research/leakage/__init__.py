"""Leakage tests L1 to L14 on a dataset; `suite.run_suite` runs them all, each can fail and is tested to."""

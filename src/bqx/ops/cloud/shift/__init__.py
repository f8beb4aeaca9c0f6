"""Traffic from one release to the next: canary, analysis, rollback."""

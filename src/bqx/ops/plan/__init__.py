"""The plan as versioned data: stages, tasks, blockers, printed totals, risks; and what can be computed from them."""

"""Running the plan: state and evidence, gates, verification, execution reports."""

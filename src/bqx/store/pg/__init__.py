"""The PostgreSQL store: the same contract as the lake, in tables that only `bqx store upgrade` makes."""

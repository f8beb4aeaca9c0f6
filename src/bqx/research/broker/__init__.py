"""Where orders go: a broker-neutral contract and a deterministic simulated broker behind it."""

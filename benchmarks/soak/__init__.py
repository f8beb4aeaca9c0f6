"""Long checks, resumable; each writes benchmarks/results/<check>.json with commit, machine and seed."""

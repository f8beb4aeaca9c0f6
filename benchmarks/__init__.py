"""How fast, how exact, how much memory, and what is too long for the suite: `python -m benchmarks.kernels`, `.build`, `.soak`."""

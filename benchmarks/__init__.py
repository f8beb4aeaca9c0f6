"""Speed, digits and memory (`python -m benchmarks.kernels`, `.build`), and what is too long for the suite (`.soak`)."""

"""Our kernels beside those of others in one process: time a value, and digits lost."""

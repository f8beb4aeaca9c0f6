"""What is missing or stale, what it will cost, and the engines that build it."""

"""Live: feeds, the minute's book, the engine and its state on disk."""

"""One trial in one process: its function, what it may ask, how it ended."""

"""The daemon: one thread for each source and destination, and what keeps them going for years."""

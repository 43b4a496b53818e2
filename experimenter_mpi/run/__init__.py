"""A run from ``execute`` to its summary: rank 0's part and the workers' part."""

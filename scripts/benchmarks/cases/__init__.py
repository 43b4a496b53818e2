"""The cases, one a file; each has ``measure(bench)`` that gives a ``Section``."""

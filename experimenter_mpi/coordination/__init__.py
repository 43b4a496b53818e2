"""Who runs what and when to stop: decisions without I/O, and the two loops."""

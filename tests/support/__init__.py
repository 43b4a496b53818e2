"""What the tests stand on: real processes with deadlines."""

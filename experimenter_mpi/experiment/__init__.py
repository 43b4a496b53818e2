"""What is to be run: variables, the grid they span, trial ids."""

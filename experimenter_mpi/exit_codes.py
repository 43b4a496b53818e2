"""What a process exits with."""

EXIT_FINISHED = 0
EXIT_FAILED_TRIALS = 1
EXIT_USAGE = 2
EXIT_WRONG = 3
EXIT_STOPPED = 75  # EX_TEMPFAIL of sysexits.h: try again later

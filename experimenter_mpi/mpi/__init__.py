"""The coordinator/worker protocol over MPI messages."""

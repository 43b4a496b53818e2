"""Trials in processes of their own, without MPI: a crash takes no rank along."""

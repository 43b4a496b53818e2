"""Whether a run would work here, and if not, why: one check per function."""

"""The variables that say on how many threads numerical libraries compute."""

from __future__ import annotations

# What they read when they are loaded. OMP_NUM_THREADS speaks for all of them.
VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
# Of those that do not heed OpenMP's, the ones that are common on clusters.
ALSO_COMMON = VARIABLES[1:4]

"""What ``scripts/benchmark`` runs: cases, peers, and the programs they launch.

A case launches programs, interleaved and several times, and gives a ``Section``: a
table, what must hold, and every figure. Nothing here is imported by the package.
"""

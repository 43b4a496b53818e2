"""Measure what messages and commits take, simulate, check; write docs/scaling.md."""

from __future__ import annotations

import argparse

from .check import check
from .costs import measure
from .grid import grid
from .page import write


def main() -> None:
    """Do all of it; there is nothing to choose."""
    argparse.ArgumentParser(prog="scripts/simulate", description=__doc__).parse_args()
    measured = measure()
    checked = check(measured)
    print(write(measured, grid(measured.costs), checked))


if __name__ == "__main__":
    main()

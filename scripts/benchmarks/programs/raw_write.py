"""Write bytes to one file, and sync it: `python raw_write.py TRIALS BYTES FOLDER`.

The limit that arrays are measured against: as many bytes, in the same pieces, one after
the other, one sync at the end.
"""

from __future__ import annotations

import os
import sys
import time
from itertools import repeat
from pathlib import Path

from benchmarks.telling import tell


def main() -> None:
    """Time the writing and the sync."""
    trials, size, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    piece = os.urandom(size)
    start = time.perf_counter()
    with Path(folder, "raw").open("wb", buffering=0) as file:
        file.writelines(repeat(piece, trials))
        os.fsync(file.fileno())
    took = time.perf_counter() - start
    tell(trials=trials, seconds=took, bytes=trials * size)


if __name__ == "__main__":
    main()

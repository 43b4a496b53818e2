"""What people type to start this program again, for commands that messages name."""

from __future__ import annotations

import os
import sys


def program() -> str:
    """Name this program as it was started, for commands that people copy."""
    # Not in sys.argv: a script that was loaded finds its own arguments there.
    started = next((word for word in sys.orig_argv[1:] if not word.startswith("-")), "")
    if os.path.basename(started) == "experimenter-mpi":
        return "experimenter-mpi"
    return "python -m experimenter_mpi"

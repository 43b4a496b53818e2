"""``python -m experimenter_mpi``."""

from __future__ import annotations

import sys

from . import output
from .errors import LaunchError
from .mpi import launch


def main() -> int:
    """Run the verb; a worker does what rank 0 sends it, and loads no command line."""
    try:  # what doctor is to look at may be that this does not work
        transport = None if sys.argv[1:2] == ["doctor"] else launch.connect()
    except LaunchError:  # the command line meets it again, and says it
        transport = None
    if transport is not None and transport.rank != 0:
        from .run.serve import serve

        output.make_safe()
        serve(transport)
        return 0
    from . import cli

    return cli.main()


if __name__ == "__main__":
    raise SystemExit(main())

"""The command line: one module per verb, loaded when that verb is asked for.

Under ``mpirun`` every rank comes here. Rank 0 alone parses the command line and says
what is wrong with it; the others do what it sends them and then go home.
"""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING

from ..errors import ExperimenterError, LaunchError, TrialError, printable
from ..mpi import launch
from ..summary import EXIT_WRONG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..mpi.transport import Transport

VERBS = {
    "run": "run every experiment of a script, or go on where it stopped",
    "status": "how far the experiments of a database are",
    "show": "one trial explained: what happened, where, and how to run it again",
    "results": "configuration and results of every trial as a table, CSV or JSON",
    "export": "copy experiments into a new database",
    "merge": "add to one database what another has and it lacks",
    "reset": "make finished or failed trials run again",
    "delete": "delete an experiment with its trials, snapshots and arrays",
    "doctor": "whether a run would work here, and if not, why",
    "job": "a job script for a scheduler, ready to be submitted, or submitted",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and give the exit code; see ``summary`` for what they mean."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if isinstance(sys.stdout, TextIOWrapper):  # names may hold what it cannot encode
        sys.stdout.reconfigure(errors="backslashreplace")
    if given[:1] == ["doctor"]:  # connecting may be what does not work
        return run_verb(given)
    try:
        transport = launch.connect()
    except LaunchError as error:
        return EXIT_WRONG if error.said_by_rank_0 else _complain(error)
    if transport is None:
        return run_verb(given)
    if transport.rank != 0:
        from ..service import serve

        serve(transport)
        return 0
    return _run_before_workers(transport, given)


def _run_before_workers(transport: Transport, arguments: list[str]) -> int:
    """Run the verb on rank 0, and send the workers home whatever happens."""
    from ..lead import end_all
    from ..mpi.messages import Dismiss

    try:
        code = run_verb(arguments)
    except BaseException as error:  # noqa: BLE001 - a bug must not hang the others
        end_all(error, transport.abort)
    transport.send_all(Dismiss())
    transport.flush()
    return code


def run_verb(arguments: list[str]) -> int:
    """Run one verb; a user's mistake becomes one line and an exit code."""
    from .parser import top_parser, verb_of

    try:
        if not arguments or arguments[0] not in VERBS:
            top_parser(VERBS).parse_args(arguments or ["--help"])
        code = verb_of(arguments[0])(arguments[1:])
        if sys.stdout is not None:
            sys.stdout.flush()
    except SystemExit as leave:  # argparse has said why
        return leave.code if isinstance(leave.code, int) else 1
    except TrialError as error:
        print(printable(error.traceback), end="", file=sys.stderr)
        _complain(error)
        return 1
    except ExperimenterError as error:
        return _complain(error)
    except KeyboardInterrupt:
        _complain("stopped at once; run again to go on")
        return 75
    except BrokenPipeError:  # `... | head` has seen enough
        _discard_output()
        return 0
    return code


def _discard_output() -> None:
    """Let Python's last flush succeed: it would complain, and exit with 120."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _complain(error: object) -> int:
    from ..terminal import wrapped

    line = f"experimenter_mpi: {printable(str(error))}"
    print(wrapped(line, sys.stderr, hanging=2), file=sys.stderr)
    return EXIT_WRONG

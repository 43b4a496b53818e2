"""The command line: one module per verb, loaded when that verb is asked for.

Under ``mpirun`` every rank comes here. Rank 0 alone parses the command line and says
what is wrong with it; the others do what it sends them and then go home.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .. import output
from ..errors import (
    ExperimenterError,
    LaunchError,
    SaidByRank0,
    TrialError,
    did_you_mean,
    printable,
)
from ..mpi import launch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from ..mpi.transport import Transport

# Verbs whose work is not what they print.
DOING = ("run", "export", "merge", "reset", "delete", "compact", "note", "tag")
VERBS = {
    "run": "run the experiments of a script, or continue where they stopped",
    "status": "show the progress of the experiments in a database",
    "show": "explain one trial: what happened, where, and how to rerun it",
    "results": "print configurations and results as a table, CSV or JSON",
    "runs": "list runs: when, where and with which code they ran",
    "export": "copy experiments into a new database",
    "merge": "add the records of other databases to one",
    "note": "add a note to a trial, or print its notes",
    "tag": "add tags to trials, or remove them",
    "reset": "make trials pending again, so that the next run runs them",
    "delete": "delete an experiment with its trials, snapshots and arrays",
    "compact": "shrink a database file after deletions",
    "doctor": "check whether a run would work here, and if not, why",
    "job": "write a job script for a scheduler, or submit it",
    "jobs": "list the jobs submitted for a database, and cancel them",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code; see ``exit_codes`` for what they mean."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    # Who only asks must know whether the answer is whole.
    asks = (
        given[:2] != ["jobs", "cancel"]
        and given[:1] not in [[verb] for verb in DOING]
        and "--submit" not in given
    )
    output.make_safe(strict=asks)
    if given[:1] == ["doctor"]:  # connecting may be what does not work
        return run_verb(given)
    try:
        transport = launch.connect()
    except LaunchError as error:
        return _complain(error)
    if transport is None:
        return run_verb(given)
    if transport.rank != 0:
        from ..run.serve import serve

        serve(transport)
        return 0
    return _run_before_workers(transport, given)


def _run_before_workers(transport: Transport, arguments: list[str]) -> int:
    """Run the verb on rank 0, and send the workers home whatever happens."""
    from ..coordination.messages import Dismiss
    from ..run.lead import end_all

    try:
        code = run_verb(arguments)
    except BaseException as error:  # noqa: BLE001 - a bug must not hang the others
        end_all(error, transport.abort)
    transport.send_all(Dismiss())
    transport.flush()
    return code


def run_verb(arguments: list[str]) -> int:
    """Run one verb and return its exit code; what it printed is out then."""
    try:
        code = _outcome(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except output.OutputError as error:
        if error.is_quiet:
            return 0
        return _complain(f"cannot write the output: {error.strerror}")
    return code


def _outcome(arguments: list[str]) -> int:
    """Run one verb; a user's mistake becomes one line and an exit code."""
    from .arguments import verb_of

    try:
        verb, *others = _explained(arguments)
        if verb not in VERBS:
            _end_without_verb([verb, *others] if verb.startswith("-") else [verb])
        return verb_of(verb)(others)
    except SystemExit as leave:  # argparse has said why
        return leave.code if isinstance(leave.code, int) else 1
    except TrialError as error:
        print(printable(error.traceback), end="", file=sys.stderr)
        _complain(error)
        return 1
    except ExperimenterError as error:
        return _complain(error)
    except KeyboardInterrupt:
        _complain("stopped at once; rerun the same command to continue")
        from ..exit_codes import EXIT_STOPPED

        return EXIT_STOPPED


def _explained(arguments: list[str]) -> list[str]:
    """Return the arguments, with `help VERB` as `VERB --help`."""
    if arguments[:1] == ["help"]:
        return [*(each for each in arguments[1:2] if each != "help"), "--help"]
    return arguments or ["--help"]


def _end_without_verb(arguments: list[str]) -> NoReturn:
    """Answer --help and --version, and say what is wrong with all else.

    Raises:
        SystemExit: always.
    """
    from .arguments import top_parser

    parser = top_parser(VERBS)
    verb = parser.parse_known_args(arguments)[0].verb
    hint = did_you_mean(verb, VERBS)
    if verb.endswith(".py"):
        hint = f"; to run a script: {parser.prog} run {verb}"
    parser.error(f"there is no command '{verb}'{hint}")


def _complain(error: object) -> int:
    from ..exit_codes import EXIT_WRONG  # not on workers, which import this file
    from ..run.terminal import wrapped

    if not isinstance(error, SaidByRank0):
        line = f"experimenter_mpi: {printable(str(error))}"
        output.say(wrapped(line, sys.stderr, hanging=2))
    return EXIT_WRONG

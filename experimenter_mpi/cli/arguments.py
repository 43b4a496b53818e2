"""What the verbs' command lines have in common: parsers, databases, questions."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from math import nan
from shlex import quote
from textwrap import fill
from typing import TYPE_CHECKING, NoReturn

from ..cluster import durations
from ..errors import ConfigurationError, ExperimenterError, NotFoundError
from ..program import program
from ..run.retention import kept_snapshots

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..database.session import Session

EXIT_CODES = """exit codes: 0 all finished; 1 some trials failed; 2 usage; 3 the
environment or the input is wrong; 75 stopped early with work left: rerun
the same command to continue"""

_DESCRIPTION = (
    "Run parameter sweeps on a laptop or under mpirun, and keep the results in one "
    "SQLite file."
)
_WIDTH = 79
# More than anyone lists; a slip of the keyboard is not to fill the memory.
_MOST_INDICES = 10_000_000


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and which command explains it.

    ``leaves_out`` is an argument that is always given in the end, but not by users.
    """

    leaves_out = ""

    def values_of(self, option: str) -> int:
        """Return how many of the arguments that follow are this option's values."""
        known = self._option_string_actions
        named = [known[option]] if option in known else []
        named = named or [a for o, a in known.items() if o.startswith(option)]
        if "=" in option or not named:
            return 0
        nargs = named[0].nargs
        return nargs if isinstance(nargs, int) else 1

    def format_usage(self) -> str:
        return self._with_brackets(super().format_usage())

    def format_help(self) -> str:
        return self._with_brackets(super().format_help())

    def _with_brackets(self, text: str) -> str:
        # By nargs="?" argparse would give another argument's word to this one.
        name = f" {self.leaves_out}"
        return text.replace(name, f" [{name[1:]}]", 1) if self.leaves_out else text

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(2)


def top_parser(verbs: dict[str, str]) -> Parser:
    width = max(map(len, verbs))
    lines = "\n".join(f"  {verb:{width}}  {what}" for verb, what in verbs.items())
    more = "'help COMMAND' and 'COMMAND --help' describe one command."
    parser = Parser(
        prog="experimenter-mpi",
        usage="experimenter-mpi COMMAND ...",
        description=fill(_DESCRIPTION, _WIDTH),
        epilog=f"commands:\n{lines}\n\n{more}\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=_version())
    parser.add_argument("verb", metavar="COMMAND")
    return parser


def _version() -> str:
    from .. import __version__

    return f"experimenter_mpi {__version__}"


def verb_of(name: str) -> Callable[[list[str]], int]:
    module = import_module(f".{name}", __package__)
    main: Callable[[list[str]], int] = module.main
    return main


def verb_parser(verb: str, description: str, examples: str, notes: str = "") -> Parser:
    """Make a verb's parser; its help ends in examples."""
    return Parser(
        prog=f"experimenter-mpi {verb}",
        description=fill(description, _WIDTH),
        epilog=f"{notes}EXAMPLES\n{examples.rstrip()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_json(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_yes(parser: Parser) -> None:
    parser.add_argument(
        "--yes", action="store_true", help="do not ask for confirmation"
    )


_PICKLE_HELP = "load pickled values; only for databases that you trust"


def add_allow_pickle(parser: Parser, what: str = _PICKLE_HELP) -> None:
    parser.add_argument("--allow-pickle", action="store_true", help=what)


def refuse_pickle_in_json(parser: Parser, given: argparse.Namespace) -> None:
    if given.json and given.allow_pickle:
        parser.error(
            "--json prints values as they are stored, including pickled ones: omit "
            "--allow-pickle"
        )


def add_kept_snapshots(
    add: Callable[..., object], option: str = "--keep-snapshots"
) -> None:
    add(
        option,
        metavar="N",
        type=_kept_snapshots,
        help="how many snapshots of each trial to keep, newest first: latest, a "
        "number, or all",
    )


def _kept_snapshots(text: str) -> int | None:
    try:
        return kept_snapshots(int(text) if text.isdecimal() else text)
    except ConfigurationError:
        msg = f"'{text}' is not all, latest or a whole number of 1 or more"
        raise argparse.ArgumentTypeError(msg) from None


def open_existing(path: str, *, write: bool = False) -> Session:
    """Open a database that must exist; nothing is made by looking."""
    from ..database.handle import open_db, session_of

    if not os.path.exists(path):
        msg = (
            f"no such database: {path}; check the name, or create it with "
            f"'{program()} run SCRIPT --db {quote(path)}'"
        )
        raise NotFoundError(msg)
    folder, name = os.path.split(os.path.abspath(path))
    database = open_db(name, folder, create_folder=False, read_only=not write)
    return session_of(database)


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is destroyed.

    Raises:
        ExperimenterError: the answer is no, or there is nobody to ask.
    """
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        msg = f"{question} Cannot ask, as standard input is not a terminal: use --yes"
        raise ExperimenterError(msg)
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        msg = "nothing was changed"
        raise ExperimenterError(msg)


def count(text: str) -> int:
    """Read a number of ranks, threads or the like."""
    if not text.isdecimal() or int(text) < 1:
        msg = f"'{text}' is not a whole number of 1 or more"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def index_list(text: str) -> list[int]:
    """Read trial indices such as ``3``, ``0-4`` or ``1,5,7-9``."""
    indices: list[int] = []
    for piece in text.split(","):
        named = _index_range(piece)
        if not named:
            msg = f"'{text}' is not a trial index such as 3, 0-4 or 1,5,7-9"
            raise argparse.ArgumentTypeError(msg)
        if named.stop - named.start > _MOST_INDICES:
            msg = f"'{piece}' names more than {_MOST_INDICES:,} trials"
            raise argparse.ArgumentTypeError(msg)
        indices += named
    return indices


def _index_range(text: str) -> range | None:
    """Return the trials from one index to another; None or none if it says no such."""
    first, dash, last = text.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()):
        return None
    try:
        return range(int(first), int(last if dash else first) + 1)
    except ValueError:  # thousands of digits
        return None


def seconds(text: str) -> float:
    """Read a duration: seconds, ``MM:SS``, ``HH:MM:SS`` or ``D-HH[:MM[:SS]]``."""
    try:
        total = durations.seconds(text)
    except ValueError:
        total = nan
    if not total >= 0:
        msg = f"'{text}' is not a duration such as 90, 5:00, 1:30:00 or 2-00:00:00"
        raise argparse.ArgumentTypeError(msg)
    return total

"""The options of ``run``: what they are called, and which of them go together."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import TYPE_CHECKING

from ..experiment.share import is_share
from .arguments import (
    EXIT_CODES,
    Parser,
    count,
    index_list,
    seconds,
    verb_parser,
)
from .databases import default_database
from .logs import add_log
from .overwriting import add_what_is_kept

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

EXAMPLES = """
  experimenter-mpi run exp.py
      run every unfinished trial here, one after the other
  mpirun -n 64 python -m experimenter_mpi run exp.py
      the same on 64 ranks: rank 0 coordinates, 63 work
  experimenter-mpi run exp.py --mode multithreaded --threads 8
      eight trials at a time, on threads of this process
  experimenter-mpi run exp.py --dry-run
      only print what would be run
  experimenter-mpi run exp.py -- --size 3
      the script finds --size 3 in sys.argv, on every rank
  mpirun -n 64 python -m experimenter_mpi run exp.py --time-limit 1:50:00
      start no new trial after 1 h 50 min and exit with 75; rerun to continue
  experimenter-mpi run exp.py --isolate --trial-timeout 10:00
      a trial that crashes, or takes longer than 10 min, fails alone
  experimenter-mpi run exp.py --extend
      the configuration has changed: run what is new, and keep what is there
  experimenter-mpi run exp.py --share 2/8 --db share-2.db
      every eighth trial from the second; 'merge' combines the eight databases
  experimenter-mpi run exp.py --experiment heat --trial 17 --on-error raise
      one trial, with its own traceback"""


_ARGUMENTS = """What follows -- is passed to the script as sys.argv[1:], in every
process that loads it. SIGQUIT makes a rank print its stacks and its last
messages; the run continues."""


def parser() -> Parser:
    made = verb_parser(
        "run",
        "Run every Experiment that SCRIPT creates while it is loaded, in that order. "
        "Finished trials are skipped; failed ones are retried. Under mpirun the "
        "trials run on all ranks but rank 0.",
        EXAMPLES,
        notes=f"{_ARGUMENTS}\n\n{EXIT_CODES}\n\n",
    )
    _add_what(made.add_argument)
    _add_how(made.add_argument)
    _add_when_it_goes_wrong(made.add_argument)
    return made


def _add_what(add: Callable[..., object]) -> None:
    add("script", metavar="SCRIPT", nargs="?", help="a Python file with experiments")
    add("-m", metavar="MODULE", dest="module", help="a module instead of a file")
    add(
        "--db",
        metavar="PATH",
        default=default_database(),
        help="the database (default: $EXPERIMENTER_DB, else %(default)s)",
    )
    add(
        "--experiment",
        metavar="NAME",
        action="append",
        default=[],
        help="only the experiment of this name; may be repeated",
    )
    add(
        "--trial",
        metavar="INDEX",
        type=index_list,
        help="only these trials: 3, 0-4 or 1,5,7-9",
    )
    add("--share", metavar="K/N", type=_share, help=_SHARE_HELP)


def _add_how(add: Callable[..., object]) -> None:
    add(
        "--mode",
        metavar="MODE",
        choices=MODES,
        help=f"{', '.join(MODES[:-1])} or mpi (default: mpi if there are ranks, else "
        "serial)",
    )
    add(
        "--workers",
        metavar="N",
        type=count,
        help="number of workers, in the modes distributed and heterogeneous",
    )
    add(
        "--threads",
        metavar="N",
        type=count,
        help="threads (multithreaded), or threads on each worker (heterogeneous)",
    )
    add("--batch-size", metavar="N", type=_batch_size, default="auto", help=_BATCH_HELP)
    add("--directory", metavar="DIR", help="change to this folder first, on every rank")
    add_what_is_kept(add)
    add(
        "--keep-diff",
        action="store_true",
        help="keep how the code differs from the git commit: see 'runs --run'",
    )
    add(
        "--no-retry-failed",
        action="store_true",
        help="do not retry trials that failed before",
    )


def _add_when_it_goes_wrong(add: Callable[..., object]) -> None:
    add(
        "--on-error",
        choices=("record", "raise"),
        default="record",
        help="record a failed trial and continue (default), or stop the run",
    )
    add(
        "--time-limit",
        metavar="TIME",
        type=seconds,
        help="start no new trial after this: seconds, MM:SS, HH:MM:SS, D-HH:MM:SS",
    )
    add(
        "--grace",
        metavar="TIME",
        type=seconds,
        help="how long running trials may take to end when the run stops (default: a "
        "minute; a second after Ctrl-C)",
    )
    add(
        "--isolate",
        action="store_true",
        help="run trials in separate processes: a segfault, os._exit or an "
        "out-of-memory kill is then one failed trial",
    )
    add(
        "--trial-timeout",
        metavar="TIME",
        type=_timeout,
        help="a trial that takes longer counts as failed; it is killed with --isolate, "
        "and only reported without",
    )
    add(
        "--progress",
        choices=("auto", "bar", "log", "none"),
        default="auto",
        help="auto (default): a bar on a terminal if rich is installed, else lines",
    )
    add(
        "--allow-pickle",
        action="store_true",
        help="load pickled values; only for databases that you trust",
    )
    add_log(add)
    add("--dry-run", action="store_true", help="print what would be run, and stop")


MODES = ("serial", "multithreaded", "distributed", "heterogeneous", "mpi")
# Which modes each option means something to.
_WORKERS = ("distributed", "heterogeneous")
_THREADS = ("multithreaded", "heterogeneous")

_SHARE_HELP = (
    "run only the K-th of N disjoint shares of the trials; auto: the share of this "
    "task of a job array; auto/N: of an array with N tasks (from 0 under Slurm, PBS "
    "and Flux, from 1 under Grid Engine and LSF). Each share needs its own database"
)
_BATCH_HELP = "trials per message, or auto (default): chosen from their durations"


def _batch_size(text: str) -> int | str:
    if text == "auto":
        return text
    if not text.isdecimal() or int(text) < 1:
        msg = f"'{text}' is not auto or a whole number of 1 or more"
        raise ArgumentTypeError(msg)
    return int(text)


def _share(text: str) -> str:
    if is_share(text):
        return text
    msg = f"'{text}' is not a share such as 2/8, auto or auto/8"
    raise ArgumentTypeError(msg)


def _timeout(text: str) -> float:
    if (given := seconds(text)) > 0:
        return given
    msg = "must be more than 0"
    raise ArgumentTypeError(msg)


def check_mode(made: Parser, given: Namespace) -> None:
    """Refuse what the mode would silently ignore."""
    for option, modes in (("workers", _WORKERS), ("threads", _THREADS)):
        if getattr(given, option) is not None and given.mode not in modes:
            made.error(
                f"--{option} can only be used with --mode {' or --mode '.join(modes)}"
            )
    if given.mode == "heterogeneous" and given.threads is None:
        made.error("--mode heterogeneous needs --threads N, for each worker")

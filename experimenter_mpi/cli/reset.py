"""``reset DB NAME [INDEX...]``: make trials run again."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError
from typing import TYPE_CHECKING

from ..errors import DatabaseError, NotFoundError, counted
from .arguments import (
    Parser,
    add_allow_pickle,
    add_yes,
    confirm,
    count,
    index_list,
    open_existing,
    verb_parser,
)
from .databases import add_database, parse
from .giving_back import give_room_back
from .outline import Outline
from .trial_choice import made_by

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from ..database.session import Session
    from ..experiment.ranges import Numbers

EXAMPLES = """
  experimenter-mpi reset experiments/experiments.db heat 17
  experimenter-mpi reset experiments/experiments.db heat 0-9 42 --yes
  experimenter-mpi reset experiments/experiments.db heat --failed
  experimenter-mpi reset experiments/experiments.db heat --keep-snapshots 3
      trial 3 continues from its latest snapshot
  experimenter-mpi reset experiments/experiments.db heat --where "duration < 1"
  experimenter-mpi reset experiments/experiments.db heat --run 3
      what run 3 did last
  experimenter-mpi reset experiments/experiments.db heat - --yes
      the trials whose indices are on standard input
  experimenter-mpi reset experiments/experiments.db heat --all
      every trial of the experiment"""

_WHERE_HELP = (
    "trials for which this SQL expression is true; it may use the columns of the "
    "table trials and their JSON, and can only read"
)


def main(arguments: list[str]) -> int:
    made = _parser()
    given = parse(made, arguments, will_write=True)
    _require_one_choice(made, given)
    listed = _listed(made, [word for word in given.indices if word != "-"])
    with open_existing(given.database, write=True) as session:
        experiment = Outline(session, given.name)
        if "-" in given.indices:
            listed |= _listed(made, _standard_input())
        chosen = _chosen(session, experiment, given, listed)
        arrays_left = False
        if chosen:
            snapshots = session.upkeep.count_snapshots(experiment.id, chosen)
            confirm(_question(len(chosen), snapshots, given), yes=given.yes)
            with session.storage.writing():
                if _chosen(session, experiment, given, listed) != chosen:
                    msg = (
                        "the database has changed in the meantime, and other trials "
                        "match now; nothing was reset: rerun the command"
                    )
                    raise DatabaseError(msg)
                arrays_left = session.upkeep.reset(
                    experiment.id, chosen, keep_snapshots=given.keep_snapshots
                )
        verb = "is" if len(chosen) == 1 else "are"
        trials = counted(len(chosen), "trial")
        print(f"{trials} of '{given.name}' {verb} pending", flush=True)
        if chosen:
            give_room_back(session, experiment.id if arrays_left else None)
    return 0


def _parser() -> Parser:
    parser = verb_parser(
        "reset",
        "Make trials pending again, so that the next run runs them from scratch. Their "
        "results and snapshots are deleted. Asks first.",
        EXAMPLES,
    )
    add = parser.add_argument
    add_database(parser)
    add("name", metavar="NAME")
    add(
        "indices",
        metavar="INDEX",
        nargs="*",
        default=[],
        help="trials such as 3, 0-4 or 1,5,7-9; - reads them from standard input",
    )
    add("--all", action="store_true", help="every trial of the experiment")
    add("--failed", action="store_true", help="failed trials")
    add("--where", metavar="SQL", help=_WHERE_HELP)
    add(
        "--run",
        metavar="N",
        type=count,
        help="trials that this run was the last to run; 'runs' lists them",
    )
    add(
        "--keep-snapshots",
        action="store_true",
        help="continue from the latest snapshots instead of starting from scratch",
    )
    add_allow_pickle(parser, "accepted, but has no effect: reset reads no values")
    add_yes(parser)
    return parser


def _require_one_choice(made: Parser, given: Namespace) -> None:
    """Refuse an empty list of indices, which a query that found nothing leaves."""
    by_sql = given.where is not None
    if sum(map(bool, (given.indices, given.all, given.failed, given.run, by_sql))) != 1:
        made.error(
            "choose trials by INDEX, or by one of --all, --failed, --run and --where"
        )


def _listed(made: Parser, words: list[str]) -> set[int]:
    try:
        return {index for word in words for index in index_list(word)}
    except ArgumentTypeError as error:
        made.error(f"argument INDEX: {error}")


def _standard_input() -> list[str]:
    return [] if sys.stdin is None else sys.stdin.read().split()


def _chosen(
    session: Session,
    experiment: Outline,
    given: Namespace,
    listed: set[int],
) -> Sequence[int] | Numbers:
    if given.all:
        return session.upkeep.indices(experiment.id)
    if not given.indices:
        return session.upkeep.indices_where(experiment.id, _expression(session, given))
    beyond = max(listed, default=-1)
    if beyond >= len(experiment):
        msg = f"'{given.name}' has trials 0 to {len(experiment) - 1}, not {beyond}"
        raise NotFoundError(msg)
    return sorted(listed)


def _expression(session: Session, given: Namespace) -> str:
    if given.failed:
        return "status = 'failed'"
    return given.where if given.run is None else made_by(session, given.run)


def _question(trials: int, snapshots: int, given: Namespace) -> str:
    what = f"the results of {counted(trials, 'trial')}"
    if not snapshots:
        return f"Delete {what}?"
    of_them = counted(snapshots, "snapshot")
    if given.keep_snapshots:
        return f"Delete {what}, and keep {of_them}?"
    return f"Delete {what} and {of_them}?"

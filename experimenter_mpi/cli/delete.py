"""``delete DB NAME``: delete an experiment with everything that belongs to it."""

from __future__ import annotations

from ..errors import counted
from .arguments import add_yes, confirm, open_existing, verb_parser
from .databases import add_database, parse
from .giving_back import give_room_back
from .outline import Outline

EXAMPLES = """
  experimenter-mpi delete experiments/experiments.db heat
  experimenter-mpi delete experiments/experiments.db heat --yes"""


def main(arguments: list[str]) -> int:
    parser = verb_parser(
        "delete",
        "Delete an experiment with its trials, snapshots and arrays. Asks first.",
        EXAMPLES,
    )
    add_database(parser)
    parser.add_argument("name", metavar="NAME")
    add_yes(parser)
    given = parse(parser, arguments, most=1, will_write=True)
    with open_existing(given.database, write=True) as session:
        experiment = Outline(session, given.name)
        finished = experiment.finished
        trials = counted(len(experiment), "trial")
        confirm(
            f"Delete '{given.name}' with {trials}, {finished} of them "
            f"finished, from {given.database}?",
            yes=given.yes,
        )
        session.experiments.delete(experiment.id)
        print(f"deleted '{given.name}'", flush=True)
        give_room_back(session)
    return 0

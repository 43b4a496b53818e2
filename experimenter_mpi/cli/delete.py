"""``delete DB NAME``: delete an experiment with everything that belongs to it."""

from __future__ import annotations

from .outline import Outline
from .parser import add_yes, confirm, counted, open_existing, verb_parser
from .room import give_room_back

EXAMPLES = """
  experimenter-mpi delete experiments/experiments.db heat
  experimenter-mpi delete experiments/experiments.db heat --yes"""


def main(arguments: list[str]) -> int:
    parser = verb_parser(
        "delete",
        "Delete an experiment with its trials, snapshots and arrays. Asks first.",
        EXAMPLES,
    )
    parser.add_argument("database", metavar="DB")
    parser.add_argument("name", metavar="NAME")
    add_yes(parser)
    given = parser.parse_args(arguments)
    with open_existing(given.database, write=True) as database:
        experiment = Outline(database, given.name)
        finished = experiment.counts.get("finished", 0)
        trials = counted(len(experiment), "trial")
        confirm(
            f"Delete '{given.name}' with {trials}, {finished} of them "
            f"finished, from {given.database}?",
            yes=given.yes,
        )
        database.delete_experiment(experiment.id)
        print(f"deleted '{given.name}'", flush=True)
        give_room_back(database)
    return 0

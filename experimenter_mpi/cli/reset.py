"""``reset DB NAME [INDEX...]``: make trials run again."""

from __future__ import annotations

from ..errors import NotFoundError
from .parser import add_yes, confirm, index_list, open_existing, verb_parser

EXAMPLES = """
  experimenter-mpi reset experiments/experiments.db heat 17
  experimenter-mpi reset experiments/experiments.db heat 0-9 42 --yes
  experimenter-mpi reset experiments/experiments.db heat
      every trial of the experiment"""


def main(arguments: list[str]) -> int:
    parser = verb_parser(
        "reset",
        "Make trials pending again, so that the next run runs them: from their latest "
        "snapshot if they have one. Their results are dropped. Asks first.",
        EXAMPLES,
    )
    parser.add_argument("database", metavar="DB")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("indices", metavar="INDEX", nargs="*", type=index_list)
    add_yes(parser)
    given = parser.parse_args(arguments)
    with open_existing(given.database, write=True) as database:
        experiment = database.get_experiment_by_name(given.name)
        indices = [i for indices in given.indices for i in indices]
        chosen = indices or range(len(experiment))
        beyond = max(chosen)
        if beyond >= len(experiment):
            msg = f"'{given.name}' has trials 0 to {len(experiment) - 1}, not {beyond}"
            raise NotFoundError(msg)
        confirm(f"Drop the results of {len(chosen)} trials?", yes=given.yes)
        with database.writing():
            for index in chosen:
                database.mark_trial_as_incomplete(experiment.trial_ids[index])
    print(f"{len(chosen)} trials of '{given.name}' are pending")
    return 0

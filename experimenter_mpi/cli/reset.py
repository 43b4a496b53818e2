"""``reset DB NAME [INDEX...]``: make trials run again."""

from __future__ import annotations

from ..errors import NotFoundError
from .outline import Outline
from .parser import (
    add_allow_pickle,
    add_yes,
    confirm,
    counted,
    index_list,
    open_existing,
    verb_parser,
)

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
    add_allow_pickle(parser)
    add_yes(parser)
    given = parser.parse_args(arguments)
    with open_existing(given.database, write=True) as database:
        experiment = Outline(database, given.name)
        indices = {i for indices in given.indices for i in indices}
        chosen = sorted(indices) or range(len(experiment))
        beyond = max(chosen, default=-1)
        if beyond >= len(experiment):
            msg = f"'{given.name}' has trials 0 to {len(experiment) - 1}, not {beyond}"
            raise NotFoundError(msg)
        trials = counted(len(chosen), "trial")
        confirm(f"Drop the results of {trials}?", yes=given.yes)
        with database.writing():
            for index in chosen:
                database.mark_trial_as_incomplete(experiment.trial_ids[index])
    verb = "is" if len(chosen) == 1 else "are"
    print(f"{trials} of '{given.name}' {verb} pending")
    return 0

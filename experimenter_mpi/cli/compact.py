"""``compact DB``: make a database smaller by what was deleted in it."""

from __future__ import annotations

from ..errors import counted
from .arguments import add_kept_snapshots, add_yes, confirm, open_existing, verb_parser
from .databases import add_database, parse
from .giving_back import size

EXAMPLES = """
  experimenter-mpi compact experiments/experiments.db
  experimenter-mpi compact experiments/experiments.db --snapshots latest
      delete all snapshots but the latest of each trial first"""


def main(arguments: list[str]) -> int:
    parser = verb_parser(
        "compact",
        "Shrink a database file by the space of deleted rows, and delete arrays that "
        "are no longer used. This needs free space for a temporary copy of the shrunk "
        "database; if there is too little, the file is left unchanged. It cannot be "
        "done during a run. On a shared file system, readers wait until it is done.",
        EXAMPLES,
    )
    add_database(parser)
    add_kept_snapshots(parser.add_argument, "--snapshots")
    add_yes(parser)
    given = parse(parser, arguments, most=0, will_write=True)
    with open_existing(given.database, write=True) as session:
        if given.snapshots is not None:
            surplus = session.upkeep.surplus_snapshots(given.snapshots)
            if surplus:
                confirm(f"Delete {counted(surplus, 'snapshot')}?", yes=given.yes)
        before, after = session.upkeep.compact(given.snapshots)
    print(f"{given.database}: {size(before)} before, {size(after)} now")
    return 0

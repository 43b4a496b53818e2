"""``merge PRIMARY SECONDARY...``: add what the first database lacks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..database.handle import open_db, session_of
from ..errors import counted
from .arguments import open_existing, verb_parser

if TYPE_CHECKING:
    from ..database.session import Session

EXAMPLES = """
  experimenter-mpi merge experiments.db other-machine.db
      add new experiments, and the results of trials finished only there
  experimenter-mpi merge all.db share-*.db
      combine the shares of a job array; all.db is created if it does not exist"""


def main(arguments: list[str]) -> int:
    parser = verb_parser(
        "merge",
        "Add to PRIMARY every record of each SECONDARY that it lacks. PRIMARY is "
        "created if it does not exist. If two experiments have the same name and "
        "different configurations, that is an error and nothing of that SECONDARY is "
        "added. Merging twice changes nothing. A trial that is finished in both keeps "
        "the results of PRIMARY, even if those of SECONDARY are newer: after "
        "--overwrite or reset, merge into a new PRIMARY.",
        EXAMPLES,
    )
    parser.add_argument("primary", metavar="PRIMARY")
    parser.add_argument("secondaries", metavar="SECONDARY", nargs="+")
    given = parser.parse_args(arguments)
    # All of them first: a name that is misspelt must not leave half a merge. But one
    # after the other: those of an array may be more than a process may have open.
    for path in given.secondaries:
        open_existing(path).close()
    with _open_primary(given.primary) as primary:
        for path in given.secondaries:
            with open_existing(path) as secondary:
                primary.merge(secondary)
    print(f"{given.primary} now holds all of {_named(given.secondaries)}")
    return 0


def _open_primary(path: str) -> Session:
    folder, name = os.path.split(os.path.abspath(path))
    return session_of(open_db(name, folder, create_folder=False))


def _named(paths: list[str]) -> str:
    return paths[0] if len(paths) == 1 else counted(len(paths), "database")

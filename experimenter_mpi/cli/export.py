"""``export DB OUT [NAME...]``: copy experiments into a new database."""

from __future__ import annotations

import os

from ..errors import counted
from .arguments import open_existing, verb_parser
from .databases import add_database, is_database, parse

EXAMPLES = """
  experimenter-mpi export experiments/experiments.db heat-only.db heat
  experimenter-mpi export experiments/experiments.db everything.db --all"""


def _names_database(words: list[str]) -> bool:
    """Whether DB comes before OUT, which does not exist yet and is the last word."""
    return os.path.isfile(words[0]) or any(map(is_database, words[1:2]))


def main(arguments: list[str]) -> int:
    parser = verb_parser(
        "export",
        "Copy the named experiments, or all of them with --all, into a new database "
        "OUT, with their trials, snapshots and arrays. OUT must not exist.",
        EXAMPLES,
    )
    add_database(parser)
    parser.add_argument("out", metavar="OUT")
    parser.add_argument("names", metavar="NAME", nargs="*")
    parser.add_argument("--all", action="store_true", help="copy every experiment")
    given = parse(parser, arguments, names_database=_names_database)
    if bool(given.names) == given.all:
        parser.error("name the experiments to copy, or use --all")
    with (
        open_existing(given.database) as session,
        session.export(given.out, given.names) as copy,
    ):
        print(f"{given.out}: {counted(len(copy.reports.overview()), 'experiment')}")
    return 0

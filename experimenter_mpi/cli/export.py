"""``export DB OUT [NAME...]``: copy experiments into a new database."""

from __future__ import annotations

from .parser import counted, open_existing, verb_parser

EXAMPLES = """
  experimenter-mpi export experiments/experiments.db heat-only.db heat
  experimenter-mpi export experiments/experiments.db everything.db"""


def main(arguments: list[str]) -> int:
    parser = verb_parser(
        "export",
        "Copy the named experiments (none named: all) with their trials, snapshots and "
        "arrays into a new database OUT. Refuses to overwrite.",
        EXAMPLES,
    )
    parser.add_argument("database", metavar="DB")
    parser.add_argument("out", metavar="OUT")
    parser.add_argument("names", metavar="NAME", nargs="*")
    given = parser.parse_args(arguments)
    with (
        open_existing(given.database) as database,
        database.export_db(given.out, *given.names) as copy,
    ):
        print(f"{given.out}: {counted(len(copy.overview()), 'experiment')}")
    return 0

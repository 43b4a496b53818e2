"""``export DB OUT [NAME...]``: copy experiments into a new database."""

from __future__ import annotations

from .parser import counted, open_existing, verb_parser

EXAMPLES = """
  experimenter-mpi export experiments/experiments.db heat-only.db heat
  experimenter-mpi export experiments/experiments.db everything.db --all"""


def main(arguments: list[str]) -> int:
    parser = verb_parser(
        "export",
        "Copy the named experiments, or with --all every one, with their trials, "
        "snapshots and arrays into a new database OUT. Refuses to overwrite.",
        EXAMPLES,
    )
    parser.add_argument("database", metavar="DB")
    parser.add_argument("out", metavar="OUT")
    parser.add_argument("names", metavar="NAME", nargs="*")
    parser.add_argument("--all", action="store_true", help="every experiment")
    given = parser.parse_args(arguments)
    if bool(given.names) == given.all:
        parser.error("name the experiments to copy, or say --all")
    with (
        open_existing(given.database) as database,
        database.export_db(given.out, *given.names) as copy,
    ):
        print(f"{given.out}: {counted(len(copy.overview()), 'experiment')}")
    return 0

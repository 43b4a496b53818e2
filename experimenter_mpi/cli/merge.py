"""``merge PRIMARY SECONDARY``: add what the first database lacks."""

from __future__ import annotations

from .parser import open_existing, verb_parser

EXAMPLES = """
  experimenter-mpi merge experiments.db other-machine.db
      add new experiments whole, and results of trials finished only there"""


def main(arguments: list[str]) -> int:
    parser = verb_parser(
        "merge",
        "Add every record of SECONDARY that PRIMARY lacks. The same name with another "
        "configuration is an error and leaves PRIMARY untouched; merging twice changes "
        "nothing.",
        EXAMPLES,
    )
    parser.add_argument("primary", metavar="PRIMARY")
    parser.add_argument("secondary", metavar="SECONDARY")
    given = parser.parse_args(arguments)
    with (
        open_existing(given.primary, write=True) as primary,
        open_existing(given.secondary) as secondary,
    ):
        primary.merge_databases(secondary)
    print(f"{given.primary} now holds all of {given.secondary}")
    return 0

"""Which database a verb is about: the one that is named first, or the one there is."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from ..errors import NotFoundError, printable

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator

    from .arguments import Parser

FOLDER = "experiments"
DEFAULT_DATABASE = f"{FOLDER}/experiments.db"
_HELP = (
    "the database (default: $EXPERIMENTER_DB, else the one database of the folder "
    f"{FOLDER})"
)
_LEFT_OUT = "\0"  # which no command line can hold


def default_database() -> str:
    """Return the database of runs that name none."""
    return os.environ.get("EXPERIMENTER_DB") or DEFAULT_DATABASE


def add_database(parser: Parser) -> None:
    """Add DB as the first of a verb's words; it may be left out."""
    parser.add_argument("database", metavar="DB", help=_HELP)
    parser.leaves_out = "DB"


def is_database(word: str) -> bool:
    """Whether a first word means a database, and not what comes after it."""
    return word.endswith(".db") or os.sep in word or os.path.isfile(word)


def parse(
    parser: Parser,
    arguments: list[str],
    *,
    most: float = float("inf"),
    names_database: Callable[[list[str]], bool] = lambda words: is_database(words[0]),
    will_write: bool = False,
) -> Namespace:
    """Parse a verb's arguments and find its database where none is named.

    ``most`` is how many words may follow the database; with more, the first is one.

    Raises:
        NotFoundError: none is named, and there are several.
    """
    places = list(_places_of_words(parser, arguments))
    words = [arguments[place] for place in places]
    if not words or (len(words) <= most and not names_database(words)):
        first = places[0] if places else len(arguments)
        arguments = [*arguments[:first], _LEFT_OUT, *arguments[first:]]
    given = parser.parse_intermixed_args(arguments)
    if given.database == _LEFT_OUT:
        given.database = _the_database()
        if will_write:
            print(f"database: {printable(given.database)}", file=sys.stderr)
    return given


def _the_database() -> str:
    if told := os.environ.get("EXPERIMENTER_DB"):
        return told
    files = os.listdir(FOLDER) if os.path.isdir(FOLDER) else []
    found = sorted(file for file in files if file.endswith(".db"))
    if len(found) > 1:
        msg = (
            f"there are {len(found)} databases in {FOLDER}: {', '.join(found[:5])}"
            f"{', ...' if found[5:] else ''}; name one as the first argument, or set "
            "EXPERIMENTER_DB"
        )
        raise NotFoundError(msg)
    return os.path.join(FOLDER, found[0]) if found else DEFAULT_DATABASE


def _places_of_words(parser: Parser, arguments: list[str]) -> Iterator[int]:
    """Yield the place of each argument that is not an option or the value of one."""
    only_words, values = False, 0
    for place, argument in enumerate(arguments):
        if values:
            values -= 1
        elif only_words or argument == "-" or not argument.startswith("-"):
            yield place
        elif argument == "--":
            only_words = True
        else:
            values = parser.values_of(argument)

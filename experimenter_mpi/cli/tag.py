"""``tag DB NAME INDEX...``: add tags to trials, or take them away."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import TYPE_CHECKING

from ..errors import ConfigurationError, NotFoundError, counted
from .arguments import index_list, open_existing, verb_parser
from .databases import add_database, parse
from .outline import Outline

if TYPE_CHECKING:
    from ..database.session import Session

EXAMPLES = """
  experimenter-mpi tag experiments/experiments.db heat 3 17-19 --add good
  experimenter-mpi tag experiments/experiments.db heat 17 --remove good
  experimenter-mpi results experiments/experiments.db heat --tag good"""


def main(arguments: list[str]) -> int:
    parser = verb_parser(
        "tag",
        "Add tags to trials, or take them away. Tags stay when a trial is reset; "
        "'show' prints them, and 'results --tag' chooses by them.",
        EXAMPLES,
    )
    add_database(parser)
    parser.add_argument("name", metavar="NAME")
    parser.add_argument(
        *("indices",),
        metavar="INDEX",
        nargs="+",
        type=index_list,
        help="trials such as 3, 0-4 or 1,5,7-9",
    )
    for option, help_text in (("--add", "a tag to add"), ("--remove", "one to remove")):
        parser.add_argument(
            *(option,),
            metavar="TAG",
            action="append",
            default=[],
            type=_tag,
            help=f"{help_text}; may be given several times",
        )
    given = parse(parser, arguments)
    if not given.add and not given.remove:
        parser.error("say which tags to --add or to --remove")
    indices = sorted({index for some in given.indices for index in some})
    with open_existing(given.database, write=True) as session:
        ids = _ids(session, given.name, indices)
        session.notes.change_tags(ids, given.add, given.remove)
    print(f"changed the tags of {counted(len(ids), 'trial')} of '{given.name}'")
    return 0


def _tag(text: str) -> str:
    from ..database.notes import checked_tag

    try:
        return checked_tag(text)
    except ConfigurationError as error:
        raise ArgumentTypeError(str(error)) from None


def _ids(session: Session, name: str, indices: list[int]) -> list[str]:
    experiment = Outline(session, name)
    if indices[-1] >= len(experiment):
        last = len(experiment) - 1
        msg = f"'{name}' has trials 0 to {last}, not {indices[-1]}"
        raise NotFoundError(msg)
    return [str(experiment.trial_ids[index]) for index in indices]

"""``note DB NAME:INDEX [TEXT]``: say something of a trial, or read what was said."""

from __future__ import annotations

import json

from .arguments import add_json, open_existing, verb_parser
from .databases import add_database, parse
from .layout import say
from .outline import trial_id_of

EXAMPLES = """
  experimenter-mpi note experiments/experiments.db heat:17 "dt is too large"
  experimenter-mpi note experiments/experiments.db heat:17
      the notes of this trial"""


def main(arguments: list[str]) -> int:
    parser = verb_parser(
        "note",
        "Add a note to a trial, named by its id or as NAME:INDEX; without TEXT print "
        "its notes. Notes stay when a trial is reset, and 'show' prints them.",
        EXAMPLES,
    )
    add_database(parser)
    parser.add_argument("trial", metavar="TRIAL")
    parser.add_argument("text", metavar="TEXT", nargs="?")
    add_json(parser)
    given = parse(parser, arguments, most=2)
    if given.json and given.text is not None:
        parser.error("--json prints notes: leave TEXT out")
    with open_existing(given.database, write=given.text is not None) as session:
        trial_id = trial_id_of(session, given.trial)
        if given.text is not None:
            session.notes.add(trial_id, given.text)
            return 0
        found = session.notes.of(trial_id)
    if given.json:
        print(json.dumps([each._asdict() for each in found], indent=2))
    else:
        for each in found:
            say(f"{each.created_at}  {each.text}")
    return 0

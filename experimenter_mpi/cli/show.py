"""``show DB TRIAL``: one trial explained."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Any

from ..analysis.columns import joined
from ..errors import TrialProcessError, printable
from ..program import program
from .arguments import (
    add_allow_pickle,
    add_json,
    open_existing,
    refuse_pickle_in_json,
    verb_parser,
)
from .databases import add_database, parse
from .layout import broken, say
from .outline import trial_id_of
from .texts import find_classes, short
from .values import as_json, leaves, written

if TYPE_CHECKING:
    from collections.abc import Iterator


EXAMPLES = """
  experimenter-mpi show experiments/experiments.db heat:17
  experimenter-mpi show experiments/experiments.db 51c4e9f0-...-000000000011
  experimenter-mpi show experiments/experiments.db heat:17 --json"""


# Where the values stand, below which they go on.
_HANGING = 16
# What this program is called where it is started.
_PROGRAMS = ("experimenter_mpi", "experimenter-mpi", "__main__.py")


def main(arguments: list[str]) -> int:
    parser = verb_parser(
        "show",
        "Explain one trial, named by its id or as NAME:INDEX: its state, where and "
        "how long it ran, its last snapshot and traceback, and the command that "
        "reruns only this trial.",
        EXAMPLES,
    )
    add_database(parser)
    parser.add_argument("trial", metavar="TRIAL")
    add_json(parser)
    add_allow_pickle(parser)
    given = parse(parser, arguments, most=1)
    refuse_pickle_in_json(parser, given)
    if given.allow_pickle:
        find_classes()
    with open_existing(given.database) as session:
        row = session.reports.trial(trial_id_of(session, given.trial))
        if given.json:
            print(as_json(_as_json(row), indent=2))
        else:
            _print(row, given.database, allow_pickle=given.allow_pickle)
    return 0


def _as_json(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, **{key: written(row[key]) for key in ("configuration", "results")}}


def _print(row: dict[str, Any], path: str, *, allow_pickle: bool) -> None:
    say(f"trial {row['index']} of '{row['experiment']}': {row['status']}")
    for name, text in _facts(row):
        say(f"  {name:13} {text}", _HANGING)
    for part in ("configuration", "results"):
        if row[part]:
            print(f"\n{part}")
            found = leaves(row[part])
            for place, name in joined(found).items():
                value = short(found[place], allow_pickle=allow_pickle)
                say(f"  {name:13} {value}", _HANGING)
    if row["error"]:
        print("\ntraceback")
        for line in row["error"].rstrip().splitlines():
            print(printable(f"  {line}"))
    elif row["error_type"]:  # it was not there to leave one
        print("\nerror")
        say(f"  {row['error_type']}: {row['error_message']}", len("  "))
    for how, command in () if row["set_aside"] else _again(row, path):
        print(f"\n{how}:\n{printable(broken(command))}")


def _facts(row: dict[str, Any]) -> list[tuple[str, str]]:
    facts = [("id", row["id"]), ("attempts", str(row["attempts"]))]
    if row["started_at"]:
        facts.append(("started at", row["started_at"]))
    if row["finished_at"]:
        facts.append(("ended at", row["finished_at"]))
    if row["duration"] is not None and row["status"] != "running":
        facts.append(("duration", f"{row['duration']:.6g} s"))
    if row["rank"] is not None:
        facts.append(("ran on", f"rank {row['rank']} on {row['hostname']}"))
    if row["run_id"] is not None:
        facts.append(("run", str(row["run_id"])))
    if row["snapshots"]:
        label = f" '{row['last_label']}'" if row["last_label"] else ""
        last = f"{row['snapshots']}, the last{label} at {row['last_snapshot_at']}"
        facts.append(("snapshots", last))
    facts += _said(row)
    if row["deaths"]:
        times = "once" if row["deaths"] == 1 else f"{row['deaths']} times"
        facts.append(("deaths", f"{times} its rank or the whole job died while it ran"))
    if row["set_aside"]:
        facts.append(("note", "set aside: its configuration is not asked for any more"))
    elif row["status"] == "running":
        facts.append(("note", "if no run is active, the next one runs it again"))
    return facts


def _said(row: dict[str, Any]) -> list[tuple[str, str]]:
    tags = [("tags", ", ".join(row["tags"]))] if row["tags"] else []
    notes = [("noted", f"{n['text']} ({n['created_at']})") for n in row["notes"]]
    return tags + notes


def _again(row: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
    """Yield the commands that rerun the trial, from a snapshot or from scratch."""
    run = _rerun(row, path)
    name, database = shlex.quote(row["experiment"]), shlex.quote(path)
    anew = f"{program()} reset {database} {name} {row['index']} --yes && {run}"
    if row["status"] == "finished":
        yield "run only this trial again", anew
    elif not row["snapshots"]:
        yield "run only this trial again", run
    else:
        yield "run only this trial again, from its latest snapshot", run
        yield "or from scratch", anew


def _rerun(row: dict[str, Any], path: str) -> str:
    name, database = map(shlex.quote, (row["experiment"], path))
    index = row["index"]
    # Without a process of its own it would take the whole program along.
    crashed = row["error_type"] == TrialProcessError.__name__
    suspected = row["deaths"] and row["status"] != "finished"
    how = " --isolate" if crashed or suspected else ""
    script, arguments = _script(row["command_line"])
    passed = f" -- {shlex.join(arguments)}" if arguments else ""
    return (
        f"{program()} run {script} --db {database} --experiment {name} "
        f"--trial {index} --on-error raise{how}{passed}"
    )


def _script(command_line: str | None) -> tuple[str, list[str]]:
    """Find the script in the command line of the run, and what was said to it."""
    try:
        words = shlex.split(command_line or "")
    except ValueError:  # a quote that is not closed: nobody's command line
        words = []
    verbs = (place for place, word in enumerate(words) if word == "run" and place)
    run = next((p for p in verbs if os.path.basename(words[p - 1]) in _PROGRAMS), None)
    if run is None:  # the script was started by itself
        return _named(words) or ("SCRIPT", [])
    end = words.index("--") if "--" in words else len(words)
    script, _ = _named(words[run:end]) or ("SCRIPT", [])
    return script, words[end + 1 :]


def _named(words: list[str]) -> tuple[str, list[str]] | None:
    """Return the first script or module that is named, and the words after it."""
    for place, word in enumerate(words):
        if word == "-m" and words[place + 1 :]:
            return f"-m {shlex.quote(words[place + 1])}", words[place + 2 :]
        if word.endswith(".py") and not word.endswith("__main__.py"):
            return shlex.quote(word), words[place + 1 :]
    return None

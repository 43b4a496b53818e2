"""``status DB... [NAME]``: how far the experiments of a database are."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timezone
from shlex import quote
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from ..errors import printable
from ..program import program
from ..run.progress import duration, pace
from . import running
from .arguments import add_json, open_existing, verb_parser
from .databases import add_database, is_database, parse
from .layout import hint
from .table import print_table

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Iterator

    from ..database.session import Session
    from .arguments import Parser

WATCH_SECONDS = 2.0
LOOK_SECONDS = 0.25
FAILURES_SHOWN = 10

EXAMPLES = """
  experimenter-mpi status experiments/experiments.db
  experimenter-mpi status experiments/experiments.db heat --watch
  experimenter-mpi status experiments/experiments.db --verbose
      what each rank runs now, and the last messages and decisions of rank 0
  experimenter-mpi status shares/*.db
      the parts of a job array
  experimenter-mpi status experiments/experiments.db --json"""

COLUMNS = ("finished", "failed", "running", "pending")


def main(arguments: list[str]) -> int:
    parser = verb_parser(
        "status",
        "Show how many trials of each experiment are in which state and, during a "
        "run, its rate and the time left. With NAME, also list the trials that failed. "
        "Several databases may be named.",
        EXAMPLES,
    )
    add_database(parser)
    parser.add_argument("words", metavar="NAME", nargs="*")
    parser.add_argument(
        "--watch",
        action="store_true",
        help="refresh every 2 s until Ctrl-C, with what each rank runs; waits until "
        "the database exists",
    )
    parser.add_argument(
        "--verbose",
        action="store_true",
        help="with what each rank runs, and the last messages and decisions of rank 0",
    )
    parser.add_argument(
        "--all", action="store_true", help="show as well how many trials are set aside"
    )
    add_json(parser)
    given = parse(parser, arguments, names_database=_begins_with_database)
    asked = _asked(parser, given)
    if given.watch:
        with suppress(KeyboardInterrupt):
            _watch(asked)
        return 0
    with _opened(asked) as sessions:
        if given.json:
            print(json.dumps(_states(sessions, asked), indent=2))
        else:
            _print(sessions, asked)
    return 0


class Asked(NamedTuple):
    """What is to be shown, of which databases."""

    paths: list[str]
    name: str | None
    ranks: bool
    verbose: bool
    aside: bool


def _begins_with_database(words: list[str]) -> bool:
    return len(words) > 1 or is_database(words[0])


def _asked(parser: Parser, given: Namespace) -> Asked:
    paths = [given.database, *filter(is_database, given.words)]
    names = [word for word in given.words if not is_database(word)]
    if len(names) > 1:
        parser.error(f"one NAME at a time, not {' and '.join(names)}")
    name = names[0] if names else None
    ranks = given.watch or given.verbose
    return Asked(paths, name, ranks, given.verbose, given.all)


@contextmanager
def _opened(asked: Asked) -> Iterator[list[Session]]:
    with ExitStack() as stack:
        yield [stack.enter_context(open_existing(path)) for path in asked.paths]


def _watch(asked: Asked) -> NoReturn:
    for path in asked.paths:
        _wait_for(path)
    with _opened(asked) as sessions:
        while True:
            if sys.stdout.isatty():
                print("\x1b[H\x1b[2J", end="")
            _print(sessions, asked)
            sys.stdout.flush()
            time.sleep(WATCH_SECONDS)


def _wait_for(path: str) -> None:
    """Wait for the database of a run that has not begun, and for what is in it."""
    if not _is_made(path):
        print(f"waiting for {printable(path)}", file=sys.stderr)
    while not _is_made(path):
        time.sleep(LOOK_SECONDS)


def _is_made(path: str) -> bool:
    try:
        return os.stat(path).st_size > 0
    except OSError:  # which open_existing explains, unless it is not there
        return os.path.exists(path)


def _states(sessions: list[Session], asked: Asked) -> list[dict[str, Any]]:
    """Return the state of each experiment of each database."""
    states = []
    for session in sessions:
        path, reports = session.storage.path or "", session.reports
        rows = (
            reports.overview()
            if asked.name is None
            else [reports.overview_of(asked.name)]
        )
        found = running.look(path, is_locked=any(row["is_locked"] for row in rows))
        for row in rows:
            is_its = found is not None and found.said.experiment == row["name"]
            mine = found if is_its and _is_open(row["last_run"]) else None
            live = running.for_programs(mine, verbose=asked.verbose)
            states.append({"database": path, **_state(row), "live": live})
    return states


def _is_open(run: dict[str, Any] | None) -> bool:
    """Whether a run is on, or died without a word of its end."""
    return run is not None and run["ended"] is None


def _state(row: dict[str, Any]) -> dict[str, Any]:
    """Return an experiment's counts, and its pace while a run is on."""
    counts = {column: row["counts"].get(column, 0) for column in COLUMNS}
    state = {"name": row["name"], "trials": row["trials"], **counts}
    state["set_aside"] = row["set_aside"]
    run = row["last_run"]
    state["last_run"] = run
    state["last_snapshot"] = row["last_snapshot"]
    if _is_open(run) and row["is_locked"]:
        done = counts["finished"] - (run["finished_before"] or 0)
        elapsed = _seconds_since(run["started_at"])
        state["rate"] = done / elapsed if done > 0 and elapsed > 0 else None
        left = sum(row["run_counts"].get(each, 0) for each in ("pending", "running"))
        state["seconds_left"] = left / state["rate"] if state["rate"] else None
    return state


def _seconds_since(started_at: str) -> float:
    try:
        started = datetime.fromisoformat(started_at)
        return (datetime.now(timezone.utc) - started).total_seconds()
    except (ValueError, TypeError):  # not as we write it
        return 0.0


def _print(sessions: list[Session], asked: Asked) -> None:
    states = _states(sessions, asked)
    if not states:
        print("no experiments yet")
        return
    more = {"set_aside": "set aside"} if asked.aside else {}
    header = ["experiment", "trials", *COLUMNS, *more.values(), "last run"]
    columns = ("trials", *COLUMNS, *more)
    rows = [_row(state, columns) for state in states]
    if len(sessions) > 1:
        header = ["database", *header]
        rows = [
            [os.path.relpath(state["database"]), *row]
            for state, row in zip(states, rows, strict=True)
        ]
    print_table(header, rows)
    for state in states:
        if asked.ranks and state["live"] is not None:
            running.show(state["live"])
    if asked.name is not None:
        for session in sessions:
            _print_failures(session, asked.name)


def _row(state: dict[str, Any], columns: Iterable[str]) -> list[str]:
    counts = [str(state[column]) for column in columns]
    return [state["name"], *counts, _last_run(state)]


def _last_run(state: dict[str, Any]) -> str:
    run = state["last_run"]
    if run is None:
        return "never run"
    where = f"{run['mode']} on {run['ranks']} ranks"
    if run["ranks"] == 1:
        where = run["mode"]
    if run["share"]:
        where = f"share {run['share']}, {where}"
    if "rate" not in state:
        return f"{run['ended'] or 'died'}, {where}"
    parts = ["running"]
    if state["rate"]:
        parts = [f"running, {pace(state['rate'])}"]
        parts.append(f"{duration(state['seconds_left'])} left")
    return f"{', '.join(parts)}, {where}"


def _print_failures(session: Session, name: str) -> None:
    failures = session.reports.failures(name, limit=FAILURES_SHOWN + 1)
    if not failures:
        return
    print()
    rows = [
        [str(row["index"]), str(row["error_type"]), _first_line(row["error_message"])]
        for row in failures[:FAILURES_SHOWN]
    ]
    print_table(("failed", "error", "message"), rows)
    if len(failures) > FAILURES_SHOWN:
        print("...")
    trial = quote(f"{name}:{rows[0][0]}")
    print()
    hint("explain one", f"{program()} show {quote(session.storage.path or '')} {trial}")


def _first_line(text: str | None) -> str:
    lines = (text or "").splitlines()
    return lines[0][:100] if lines else ""

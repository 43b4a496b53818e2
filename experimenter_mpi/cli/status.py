"""``status DB [NAME]``: how far the experiments of a database are."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from datetime import datetime, timezone
from shlex import quote
from typing import TYPE_CHECKING, Any, NoReturn

from ..errors import printable
from ..program import program
from ..run.progress import duration
from .arguments import add_json, open_existing, verb_parser
from .databases import add_database, parse
from .layout import hint
from .table import print_table

if TYPE_CHECKING:
    from ..database.session import Session

WATCH_SECONDS = 2.0
LOOK_SECONDS = 0.25
FAILURES_SHOWN = 10

EXAMPLES = """
  experimenter-mpi status experiments/experiments.db
  experimenter-mpi status experiments/experiments.db heat --watch
  experimenter-mpi status experiments/experiments.db --json"""

COLUMNS = ("finished", "failed", "running", "pending")


def main(arguments: list[str]) -> int:
    parser = verb_parser(
        "status",
        "Show how many trials of each experiment are in which state and, during a "
        "run, its rate and the time left. With NAME, also list the trials that failed.",
        EXAMPLES,
    )
    add_database(parser)
    parser.add_argument("name", metavar="NAME", nargs="?")
    parser.add_argument(
        "--watch",
        action="store_true",
        help="refresh every 2 s until Ctrl-C; waits until the database exists",
    )
    add_json(parser)
    given = parse(parser, arguments, most=1)
    if given.watch:
        with suppress(KeyboardInterrupt):
            _watch(given.database, given.name)
        return 0
    with open_existing(given.database) as session:
        if given.json:
            print(json.dumps(_states(session, given.name), indent=2))
        else:
            _print(session, given.name)
    return 0


def _watch(path: str, name: str | None) -> NoReturn:
    _wait_for(path)
    with open_existing(path) as session:
        while True:
            if sys.stdout.isatty():
                print("\x1b[H\x1b[2J", end="")
            _print(session, name)
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


def _states(session: Session, name: str | None) -> list[dict[str, Any]]:
    rows = (
        session.reports.overview()
        if name is None
        else [session.reports.overview_of(name)]
    )
    return [_state(row) for row in rows]


def _state(row: dict[str, Any]) -> dict[str, Any]:
    """Return an experiment's counts, and its pace while a run is on."""
    counts = {column: row["counts"].get(column, 0) for column in COLUMNS}
    state = {"name": row["name"], "trials": row["trials"], **counts}
    run = row["last_run"]
    state["last_run"] = run
    state["last_snapshot"] = row["last_snapshot"]
    if run is not None and run["ended"] is None and row["is_locked"]:
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


def _print(session: Session, name: str | None) -> None:
    states = _states(session, name)
    if not states:
        print("no experiments yet")
        return
    header = ("experiment", "trials", *COLUMNS, "last run")
    print_table(header, [_row(state) for state in states])
    if name is not None:
        _print_failures(session, name)


def _row(state: dict[str, Any]) -> list[str]:
    counts = [str(state[column]) for column in ("trials", *COLUMNS)]
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
        parts = [f"running, {state['rate']:.3g}/s"]
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

"""``runs DB [NAME]``: when, where and with which code trials were run."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..errors import printable
from ..run.progress import duration
from .arguments import add_json, count, open_existing, verb_parser
from .code_difference import differences, script_diff
from .databases import add_database, parse
from .layout import say
from .table import print_table

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = """
  experimenter-mpi runs experiments/experiments.db
  experimenter-mpi runs experiments/experiments.db heat
  experimenter-mpi runs experiments/experiments.db --run 3
      run 3: command line, commit, files, versions of packages
  experimenter-mpi runs experiments/experiments.db --diff 3 7
      what changed from run 3 to run 7"""

_COMMIT_LENGTH = 8
_HEADER = (
    *("run", "experiment", "started", "took", "ended", "finished", "mode"),
    *("commit", "host", "script"),
)
# Documents, which --json prints as such.
_DOCUMENTS = ("sources", "packages")
_HANGING = 19
_FACTS = {
    "experiment": "experiment",
    "started at": "started_at",
    "ended at": "finished_at",
    "ended": "ended",
    "stopped by": "stop_reason",
    "share": "share",
    "mode": "mode",
    "ranks": "ranks",
    "MPI library": "mpi_library",
    "host": "hostname",
    "process": "pid",
    "job": "job_id",
    "command line": "command_line",
    "script": "script",
    "python": "python_version",
    "experimenter_mpi": "package_version",
}


def main(arguments: list[str]) -> int:
    parser = verb_parser(
        "runs",
        "List the runs of a database or of one experiment: when, where and how they "
        "were, how they ended, and how many trials each finished. 'results --run' and "
        "'reset --run' choose trials by the number of their run.",
        EXAMPLES,
    )
    add_database(parser)
    parser.add_argument("name", metavar="NAME", nargs="?")
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--run", metavar="N", type=count, help="explain one run")
    one.add_argument(
        *("--diff",),
        metavar=("A", "B"),
        nargs=2,
        type=count,
        help="what changed from run A to run B: script, files, versions, commit",
    )
    add_json(parser)
    given = parse(parser, arguments, most=1)
    if given.name is not None and (given.run or given.diff):
        parser.error("a run's number says of which experiment it is: leave NAME out")
    with open_existing(given.database) as session:
        runs = session.runs
        if given.diff:
            before, after = map(runs.get, given.diff)
            _print_difference(before, after, as_json=given.json)
        elif given.run:
            _print_one(runs.get(given.run), as_json=given.json)
        elif given.json:
            print(json.dumps(runs.listed(given.name), indent=2))
        else:
            _print_list(runs.listed(given.name))
    return 0


def _print_list(rows: list[dict[str, Any]]) -> None:
    if not rows:
        print("no runs yet")
        return
    print_table(_HEADER, list(map(_cells, rows)), "--run N")


def _cells(row: dict[str, Any]) -> list[str]:
    mode = row["mode"] or "-"
    return [
        str(row["id"]),
        row["experiment"],
        (row["started_at"] or "-")[:19].replace("T", " "),
        _took(row),
        row["ended"] or "-",
        _finished(row),
        mode if (row["ranks"] or 1) == 1 else f"{mode}, {row['ranks']} ranks",
        _commit(row) or "-",
        row["hostname"] or "-",
        row["script"] or "-",
    ]


def _finished(row: dict[str, Any]) -> str:
    """Return how many trials the run finished; the row counts the experiment's."""
    if row["finished"] is None or row["finished_before"] is None:
        return "-"
    return str(row["finished"] - row["finished_before"])


def _took(row: dict[str, Any]) -> str:
    try:
        began, ended = map(
            datetime.fromisoformat, (row["started_at"], row["finished_at"])
        )
        return duration((ended - began).total_seconds())
    except (TypeError, ValueError):  # it is on, it died, or the file was tampered with
        return "-"


def _commit(row: dict[str, Any]) -> str:
    commit = (row["git_commit"] or "")[:_COMMIT_LENGTH]
    return f"{commit} + changes" if commit and row["git_dirty"] else commit


def _print_one(row: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        documents = {name: _document(row[name]) for name in _DOCUMENTS}
        print(json.dumps({**row, **documents}, indent=2))
        return
    say(f"run {row['id']}")
    for name, text in _facts(row):
        say(f"  {name:16} {text}", _HANGING)
    if row["git_diff"]:
        print("\nchanges since the commit")
        _print_text(row["git_diff"])


def _facts(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, column in _FACTS.items():
        if row[column] is not None:
            yield name, str(row[column])
    if row["finished"] is not None:
        yield "trials finished", _finished(row)
    if row["git_commit"]:
        yield "commit", row["git_commit"] + (" + changes" if row["git_dirty"] else "")
    for name, about in _document(row["sources"]).items():
        state = about.get("git") if isinstance(about, dict) else None
        yield "file", f"{name} ({state})" if state else name
    for name, version in _document(row["packages"]).items():
        yield "package", f"{name} {version}"


def _document(text: str | None) -> dict[str, Any]:
    """Read a JSON object; a stranger's database may hold anything there."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _print_difference(
    before: dict[str, Any], after: dict[str, Any], *, as_json: bool
) -> None:
    changes = differences(before, after)
    diff = script_diff(before, after)
    if as_json:
        rows = [change._asdict() for change in changes]
        print(json.dumps({"changes": rows, "script_diff": diff}, indent=2))
        return
    runs = f"run {before['id']} and run {after['id']}"
    if not changes and not diff:
        print(f"{runs}: the same script, files, packages and commit")
        return
    if changes:
        header = ("what", f"run {before['id']}", f"run {after['id']}")
        print_table(header, [[each or "-" for each in row] for row in changes])
    if diff:
        print()
        _print_text(diff)


def _print_text(text: str) -> None:
    for line in text.rstrip("\n").split("\n"):
        print(printable(line))

"""``results DB NAME``: configuration and results of every trial."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from ..analysis.columns import DOCUMENTS, MISSING
from ..errors import CorruptDocumentError, printable
from .arguments import (
    add_allow_pickle,
    open_existing,
    refuse_pickle_in_json,
    verb_parser,
)
from .databases import add_database, parse
from .flat import add_arrangement, arranged, flattened
from .table import print_table
from .texts import find_classes, short, text
from .trial_choice import add_selection, selected
from .values import as_json, leaves, written

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from .flat import Flat

EXAMPLES = """
  experimenter-mpi results experiments/experiments.db heat
  experimenter-mpi results experiments/experiments.db heat --status failed
  experimenter-mpi results experiments/experiments.db heat --stats T --sort T
      mean and standard error of every number, for each value of T
  experimenter-mpi results experiments/experiments.db heat --csv > heat.csv
  experimenter-mpi results experiments/experiments.db heat --json > heat.json"""


def main(arguments: list[str]) -> int:
    parser = verb_parser(
        "results",
        "Print a flat table of every trial's configuration and results, in trial "
        "order. Arrays are shown by shape and type only; in Python, "
        "get_trials_by_name returns them in full.",
        EXAMPLES,
    )
    add_database(parser)
    parser.add_argument("name", metavar="NAME")
    parser.add_argument(
        "--all", action="store_true", help="also trials that are set aside"
    )
    add_selection(parser)
    add_arrangement(parser)
    add_allow_pickle(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="print CSV")
    form.add_argument("--json", action="store_true", help="print JSON")
    given = parse(parser, arguments, most=1)
    refuse_pickle_in_json(parser, given)
    if given.json and (given.columns or given.sort or given.limit or given.stats):
        parser.error("--json prints trials as they are stored, in order: use --csv")
    if given.allow_pickle:
        find_classes()
    with open_existing(given.database) as session:
        trials = session.reports.trials(given.name, aside=given.all)
        rows = selected(session, given, trials)
        if given.json:
            _print_json(rows)
        else:
            _print_flat(arranged(flattened(list(map(_read, rows))), given), given)
    return 0


def _read(row: dict[str, Any]) -> dict[str, Any]:
    with _of_trial(row):
        return {**row, **{part: leaves(row[part]) for part in DOCUMENTS}}


def _print_flat(table: Flat, given: Namespace) -> None:
    if given.csv:
        show = partial(_csv_cell, allow_pickle=given.allow_pickle)
        header = list(map(_csv_cell, table.header))
        _print_csv(header, (_cells(row, show, "") for row in table.rows))
    else:
        show = partial(short, allow_pickle=given.allow_pickle)
        rows = [_cells(row, show, "-") for row in table.rows]
        print_table(table.header, rows, "--csv")


def _cells(row: list[Any], show: Callable[[Any], str], missing: str) -> list[str]:
    """Return a row's cells; reading what is in them is what may fail."""
    try:
        return [missing if each is MISSING else show(each) for each in row]
    except CorruptDocumentError as error:
        msg = f"trial {row[0]}: {error}"
        raise CorruptDocumentError(msg) from error


def _print_csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    for row in (header, *rows):
        print(",".join(row))


def _csv_cell(value: Any, *, allow_pickle: bool = False) -> str:
    """Return a cell; nothing at all for None, so that no text is taken for it."""
    if value is None:
        return ""
    cell = text(value, allow_pickle=allow_pickle)
    return _quoted(printable(cell) if sys.stdout.isatty() else cell)


def _quoted(cell: str) -> str:
    """Quote what would end a cell or a line, whichever way lines end."""
    if cell and not {",", '"', "\n", "\r"} & set(cell):
        return cell
    return '"' + cell.replace('"', '""') + '"'


@contextmanager
def _of_trial(row: dict[str, Any]) -> Iterator[None]:
    """Raise an error that names the trial whose documents are damaged."""
    try:
        yield
    except CorruptDocumentError as error:
        msg = f"trial {row['index']} ({row['id']}): {error}"
        raise CorruptDocumentError(msg) from error


def _print_json(rows: Iterable[dict[str, Any]]) -> None:
    """Print a list, one trial a line: a big experiment is never held whole."""
    opening = "[\n"
    for row in rows:
        with _of_trial(row):
            documents = {part: written(row[part]) for part in DOCUMENTS}
            entry = {key: row[key] for key in ("index", "id", "status")} | documents
            print(opening + as_json(entry), end="")
        opening = ",\n"
    print("[]" if opening == "[\n" else "\n]")

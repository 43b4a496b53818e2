"""``results DB NAME``: configuration and results of every trial."""

from __future__ import annotations

import csv
import sys
from typing import TYPE_CHECKING, Any

from ..errors import CorruptDocumentError, printable
from .parser import open_existing, verb_parser
from .table import print_table
from .values import as_json, flattened, plain, short

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = """
  experimenter-mpi results experiments/experiments.db heat
  experimenter-mpi results experiments/experiments.db heat --csv > heat.csv
  experimenter-mpi results experiments/experiments.db heat --json | jq '.[0].results'"""


DOCUMENTS = ("configuration", "results")


def main(arguments: list[str]) -> int:
    parser = verb_parser(
        "results",
        "Print a flat table of every trial's configuration and results, in trial "
        "order. Arrays are named by shape and type; in Python, get_trials_by_name "
        "gives them whole.",
        EXAMPLES,
    )
    parser.add_argument("database", metavar="DB")
    parser.add_argument("name", metavar="NAME")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="print CSV")
    form.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(arguments)
    with open_existing(given.database) as database:
        rows = _read(database.trial_rows(given.name))
        if given.json:
            _print_json(rows)
        elif given.csv:
            _print_csv([row["flat"] for row in rows])
        else:
            flat = [row["flat"] for row in rows]
            columns = _columns(flat)
            print_table(columns, [_cells(row, columns) for row in flat])
    return 0


def _read(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Give the rows with their documents' JSON, and ``flat``, all of it as columns.

    Raises:
        CorruptDocumentError: which trial's documents are not what they should be.
    """
    for row in rows:
        try:
            read = {each: plain(row[each]) for each in DOCUMENTS}
            yield {**row, **read, "flat": _flat({**row, **read})}
        except CorruptDocumentError as error:
            msg = f"trial {row['index']} ({row['id']}): {error}"
            raise CorruptDocumentError(msg) from error


def _print_json(rows: Iterator[dict[str, Any]]) -> None:
    """Print a list, one trial a line: a big experiment is never held whole."""
    opening = "[\n"
    for row in rows:
        entry = {
            "index": row["index"],
            "id": row["id"],
            "status": row["status"],
            "configuration": row["configuration"],
            "results": row["results"],
        }
        print(opening + as_json(entry), end="")
        opening = ",\n"
    print("[]" if opening == "[\n" else "\n]")


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """Join configuration and results; a name that is taken gets a prefix."""
    flat = {"trial": row["index"], "status": row["status"]}
    for part in DOCUMENTS:
        for key, value in flattened(row[part]).items():
            flat[f"{part}.{key}" if key in flat else key] = value
    return flat


def _columns(rows: list[dict[str, Any]]) -> list[str]:
    columns: dict[str, None] = {"trial": None, "status": None}
    for row in rows:
        columns.update(dict.fromkeys(row))
    return list(columns)


def _cells(row: dict[str, Any], columns: list[str]) -> list[str]:
    return [short(row[column]) if column in row else "-" for column in columns]


def _print_csv(rows: list[dict[str, Any]]) -> None:
    columns = _columns(rows)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(map(_csv_cell, columns))
    for row in rows:
        writer.writerow([_csv_cell(row.get(column)) for column in columns])


def _csv_cell(value: Any) -> Any:
    if isinstance(value, str) and sys.stdout.isatty():
        return printable(value)
    if value is None or isinstance(value, (int, float, str)):
        return value
    if isinstance(value, dict) and "$float" in value:
        return value["$float"]
    return as_json(value)

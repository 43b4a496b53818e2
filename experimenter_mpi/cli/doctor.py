"""``doctor``: whether a run would work here, under any launcher or none.

Every rank comes here before it is connected to the others, since that may be what does
not work; rank 0 alone prints.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from ..errors import printable
from ..exit_codes import EXIT_FINISHED, EXIT_WRONG
from ..mpi import launch
from ..run.terminal import wrapped
from .arguments import add_json, verb_parser
from .databases import default_database
from .table import coloured

if TYPE_CHECKING:
    from ..doctor.examination import Report
    from ..doctor.findings import Finding

EXAMPLES = """
  experimenter-mpi doctor
      on a login node: what a run would need
  experimenter-mpi doctor --json
      the same for a program
  mpirun -n 4 python -m experimenter_mpi doctor
      under a launcher: how many ranks there are, and where
  srun -n 4 python -m experimenter_mpi doctor --db /scratch/me/heat.db
      in a job, with the path of the database to be used"""

NOTES = """exit codes: 0 a run would work (see --mpi); 3 it would not\n\n"""

_COLOURS = {"ok": "32", "note": "33", "problem": "31"}


def main(arguments: list[str]) -> int:
    parser = verb_parser(
        "doctor",
        "Report the MPI library, launcher, scheduler, ranks, hosts and file system "
        "found here, any problems with them, and how to solve these.",
        EXAMPLES,
        notes=NOTES,
    )
    parser.add_argument(
        "--db",
        metavar="PATH",
        default=default_database(),
        help="the database to check (default: $EXPERIMENTER_DB, else %(default)s)",
    )
    parser.add_argument(
        "--mpi",
        action="store_true",
        help="exit with 3 if there is no MPI library, even if serial runs would work",
    )
    add_json(parser)
    given = parser.parse_args(arguments)
    from ..doctor.examination import examine

    report = examine(given.db, needs_mpi=given.mpi)
    if report is None:  # rank 0 says it
        return EXIT_FINISHED
    # Of worlds of one each has a report; what the launcher calls rank 0 prints it.
    if (report.environment.seen or 1) > 1 or launch.rank_hint() in (0, None):
        _print_json(report) if given.json else _print(report)
    return EXIT_FINISHED if report.works else EXIT_WRONG


def _print(report: Report) -> None:
    width = max(len(finding.check) for finding in report.findings)
    # Open MPI gives its ranks a terminal, whatever it is itself connected to.
    alone = report.environment.launcher is None
    lines = [_line(finding, width, is_coloured=alone) for finding in report.findings]
    problems = sum(finding.state == "problem" for finding in report.findings)
    end = "a run would work"
    if report.is_serial:
        end = "a serial or multithreaded run would work; one on MPI ranks would not"
    if problems:
        end = f"a run would not work: {problems} problem{'s' * (problems > 1)}"
    # One write: a launcher mixes what several processes print.
    print("\n".join([*lines, "", end]), flush=True)


def _line(finding: Finding, width: int, *, is_coloured: bool) -> str:
    style = _COLOURS[finding.state] if is_coloured else ""
    state = coloured(f"{finding.state:7}", style)
    hanging = width + len("  problem  ")
    line = f"{finding.check:{width}}  {state}  {printable(finding.text)}"
    if finding.remedy:
        line += f"\n{'':{hanging}}-> {printable(finding.remedy)}"
    return wrapped(line, sys.stdout, hanging)


def _print_json(report: Report) -> None:
    document = {
        "works": report.works,
        "environment": report.environment._asdict(),
        "findings": [finding._asdict() for finding in report.findings],
    }
    print(json.dumps(document, indent=2), flush=True)

"""The command line of ``scripts/benchmark``."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from .figures import Section, text
from .launching import Bench
from .machine import describe, load
from .repeating import progress

if TYPE_CHECKING:
    from collections.abc import Sequence

CASES = (
    "dispatch",
    "profile",
    "million",
    "arrays",
    "snapshots",
    "idle",
    "startup",
    "scaling",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the cases that are named, print them, and write what is asked for."""
    asked = _parser().parse_args(arguments)
    _check(asked)
    bench = Bench(asked.ranks, 1 if asked.quick else asked.repeats, asked.quick)
    machine = describe(bench)
    sections: dict[str, Section] = {}
    for name in asked.cases or CASES:
        progress(f"--- {name}")
        case = import_module(f".cases.{name}", __package__)
        sections[name] = case.measure(bench)
        print(f"{text(sections[name], judged=not asked.quick)}\n", flush=True)
    machine["load"] += f", {load()} after, the benchmark's own among them"
    if asked.json:
        cases = {name: section.as_json() for name, section in sections.items()}
        found = {"machine": machine, "quick": asked.quick, "cases": cases}
        Path(asked.json).write_text(json.dumps(found, indent=1) + "\n")
    if asked.write:
        from .report import write

        write(machine, sections)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("scripts/benchmark", description=main.__doc__)
    add = parser.add_argument
    add(
        "cases", nargs="*", metavar="CASE", help=f"{', '.join(CASES)}; all unless named"
    )
    add("--repeats", type=int, default=3, metavar="N", help="how often (default: 3)")
    add("--ranks", type=int, default=3, metavar="N", help="of MPI (default: 3)")
    add("--library", choices=("mpich", "openmpi"), default="mpich")
    add("--json", metavar="FILE", help="write every figure there")
    add("--write", action="store_true", help="write docs/performance.md and its plots")
    add("--quick", action="store_true", help="few trials: whether it runs, no figures")
    return parser


def _check(asked: argparse.Namespace) -> None:
    unknown = [name for name in asked.cases if name not in CASES]
    if unknown:
        _refuse(f"no case {unknown[0]!r}; there are {', '.join(CASES)}")
    if asked.write and (asked.cases or asked.quick):
        _refuse("--write is for all cases, and not for --quick")
    if asked.json and not Path(asked.json).absolute().parent.is_dir():
        _refuse(f"no folder for {asked.json}: make it, or name another file")
    if asked.repeats < 1 or asked.ranks < 3:
        _refuse("--repeats is at least 1, --ranks at least 3: two must work")


def _refuse(why: str) -> NoReturn:
    print(f"benchmark: {why}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    # However this is ended, it ends what it launched.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)

"""Feed mutated documents and databases to the package, in processes that may die.

    python -m support.fuzz documents|databases COUNT [FIRST]

Each input follows from its number alone. What may come out is this package's errors:
any other exception, a crash, a hang, or more memory than the limit is a finding.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TESTS = Path(__file__).parents[1]
# One input may take this long, and one process this much memory.
SECONDS = 60
MAX_BYTES = 1_500 * 1024 * 1024
COMMAND = ["-m", "support.fuzz"]
BATCH = {"documents": 20_000, "databases": 250}


class Finding(NamedTuple):
    """An input, by its number, that made something else come out."""

    number: int
    what: str


def search(kind: str, first: int, count: int) -> list[Finding]:
    """Try inputs ``first`` to ``first + count - 1``; give what was found."""
    return [finding for found, _ in batches(kind, first, count) for finding in found]


def batches(kind: str, first: int, count: int) -> Iterator[tuple[list[Finding], int]]:
    """Yield what each process found, and the number up to which all were tried."""
    start = first
    while start < first + count:
        end = min(start + BATCH[kind], first + count)
        found, start = _batch(kind, start, end)
        yield found, start


def _batch(kind: str, start: int, end: int) -> tuple[list[Finding], int]:
    """Run one process; give what it found and where to go on."""
    command = [sys.executable, *COMMAND, "--batch", kind]
    environment = {**os.environ, "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}"}
    done = subprocess.run(
        [*command, str(start), str(end)],
        capture_output=True,
        env=environment,
        text=True,
        errors="replace",
        check=False,
    )
    if not done.stdout:  # it tried nothing: there is a mistake in the fuzzer
        raise RuntimeError(done.stderr)
    findings, last = [], start
    for line in done.stdout.splitlines():
        number, _, what = line.partition(" ")
        last = int(number)
        if what:
            findings.append(Finding(last, what.replace("\\n", "\n")))
    if done.returncode == 0:
        return findings, end
    what = f"the process ended with {done.returncode}\n{done.stderr[-3000:]}"
    return [*findings, Finding(last, what)], last + 1


def _try_all(kind: str, start: int, end: int) -> None:
    """Be the process: say each number before it is tried."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    most = 3 * max(MAX_BYTES, 1 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    warnings.simplefilter("ignore")
    said = os.fdopen(os.dup(1), "w")
    with tempfile.TemporaryDirectory() as folder:
        kinds: dict[str, Any] = {"documents": Documents, "databases": Databases}
        attempt = kinds[kind](Path(folder))
        for number in range(start, end):
            said.write(f"{number}\n")
            said.flush()
            faulthandler.dump_traceback_later(SECONDS, exit=True)
            what = _outcome(attempt, number)
            faulthandler.cancel_dump_traceback_later()
            if what:
                escaped = what.replace("\n", "\\n")
                said.write(f"{number} {escaped}\n")


def _outcome(attempt: Callable[[random.Random], None], number: int) -> str:
    before = _peak()
    try:
        attempt(random.Random(number))
    except BaseException:  # noqa: BLE001 - this is what is looked for
        return traceback.format_exc(limit=-12)
    grown = _peak() - before
    return f"it took {grown:,} bytes of memory" if grown > MAX_BYTES else ""


def _peak() -> int:
    # Not getrusage: it remembers the process that started this one.
    with open("/proc/self/status", encoding="ascii") as file:
        found = next(line for line in file if line.startswith("VmHWM"))
    return int(found.split()[1]) * 1024


class Documents:
    """Decode documents with arrays, of which something was changed."""

    def __init__(self, _: Path) -> None:
        from experimenter_mpi.database.documents import encode_configuration
        from support.stored import VALUES

        self._corpus = [encode_configuration(value) for value in VALUES]
        self._records = {
            each.id: each for encoded in self._corpus for each in encoded.arrays
        }
        self._texts = [encoded.document for encoded in self._corpus]

    def __call__(self, numbers: random.Random) -> None:
        from experimenter_mpi.database.documents import VARIABLE_RULES
        from experimenter_mpi.encoding import codec
        from experimenter_mpi.encoding import numpy_rules as ndarrays
        from experimenter_mpi.errors import ExperimenterError
        from support import mutations

        def load(array_id: str) -> Any:
            return ndarrays.to_array(mutations.record(numbers, self._records[array_id]))

        document = mutations.document(numbers, self._texts)
        with contextlib.suppress(ExperimenterError):
            codec.decode(document, load, extra=VARIABLE_RULES)


class Databases:
    """Open, list, show, export, merge, reset databases of which files were changed."""

    def __init__(self, folder: Path) -> None:
        from experimenter_mpi.database.file import lock, owner
        from support.stored import make_database

        # A lock that says nothing of its owner may be another host's: a run waits.
        lock.PATIENCE_SECONDS, owner.DEAD_AFTER_SECONDS = 0.0, 0.5
        self._template, self._used = folder / "template", folder / "used"
        self._template.mkdir()
        make_database(self._template)

    def __call__(self, numbers: random.Random) -> None:
        shutil.rmtree(self._used, ignore_errors=True)
        shutil.copytree(self._template, self._used)
        self._mutate(numbers)
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            self._ask()

    def _mutate(self, numbers: random.Random) -> None:
        from support import mutations

        path = self._used / "heat.db"
        arrays = sorted((self._used / "heat.db.arrays").glob("*/*.h5"))
        match numbers.randrange(8):
            case 0 | 1 | 2:
                mutations.file_bytes(numbers, path)
            case 3 | 4 | 5:
                mutations.rows(numbers, path)
            case 6:
                mutations.file_bytes(numbers, numbers.choice(arrays))
            case 7:
                beside = numbers.choice(["-journal", "-wal", "-shm", ".lock"])
                (self._used / f"heat.db{beside}").write_bytes(
                    numbers.choice([path.read_bytes()[:9000], numbers.randbytes(600)])
                )
                mutations.file_bytes(numbers, path)

    def _ask(self) -> None:
        from experimenter_mpi.cli import run_verb
        from experimenter_mpi.errors import ExperimenterError
        from support.stored import QUESTIONS, VERBS

        for question in QUESTIONS:
            with contextlib.suppress(ExperimenterError):
                question(self._used)
        for verb, *arguments in VERBS:
            code = run_verb([verb, str(self._used / "heat.db"), *arguments])
            if code not in (0, 3):
                msg = f"{verb} {arguments} ended with {code}"
                raise AssertionError(msg)


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--batch"]:
        _try_all(arguments[1], int(arguments[2]), int(arguments[3]))
        return 0
    if len(arguments) not in (2, 3) or arguments[0] not in BATCH:
        print("usage: scripts/fuzz documents|databases COUNT [FIRST]", file=sys.stderr)
        return 2
    kind, count, first = arguments[0], int(arguments[1]), int((*arguments[2:], "0")[0])
    number = 0
    for findings, tried in batches(kind, first, count):
        for finding in findings:
            print(f"--- {kind} {finding.number}\n{finding.what.strip()}")
        number += len(findings)
        print(f"{tried - first} {kind} tried from {first} on: {number} findings")
        sys.stdout.flush()
    return 1 if number else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

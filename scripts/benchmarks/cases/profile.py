"""Where the time of a trial that does nothing goes: rank 0 and one worker, sampled."""

from __future__ import annotations

import re
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from ..figures import Section
from ..launching import HERE, Bench, ProgramError, run
from ..repeating import rate

if TYPE_CHECKING:
    from collections.abc import Iterator

ABOUT = """\
Trials that do nothing, `batch_size="auto"`, all kept, on {ranks} ranks: rank 0 and one
of the workers under `py-spy record`, which looks {per_second} times a second at what
they are doing. A function's part is its own: with the functions of C that it calls,
without those of Python. So `do_executemany` is SQLite at work, `try_commit` the disk,
and `Backoff.wait` a rank that waits for others.{found}"""

TRIALS = 500_000
PER_SECOND = 250
SHOWN = 10
# Neither the warm-up nor what stores the trials makes a run fast or slow.
WITHIN = ("timed (", "execute (")
PLACE = re.compile(r"(?P<function>.+) \((?P<file>[^:)]+)(:\d+)?\)")


def measure(bench: Bench) -> Section:
    """Sample a run, and say what it was doing."""
    section = Section("Where the time goes", "", ["on", "part", "function", "file"])
    found = ""
    try:
        with bench.scratch() as folder:
            found = f" Sampled, {_sampled(bench, folder):,.0f} trials/s were run."
            for rank in ("rank 0", "a worker"):
                parts = parts_of((folder / f"{rank}.raw").read_text())
                section.figures[rank] = {
                    f"{f} ({file})": n for (f, file), n in parts.items()
                }
                section.rows += rows(rank, parts)
    except (ProgramError, OSError) as error:
        section.notes.append(f"not measured: {error}")
    section.about = ABOUT.format(ranks=bench.ranks, per_second=PER_SECOND, found=found)
    return section


def _sampled(bench: Bench, folder: Path) -> float:
    """Run, leave samples in the folder, and return the rate."""
    beside = shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if beside is None:
        msg = "there is no py-spy"
        raise ProgramError(msg)
    program = [sys.executable, str(HERE / "programs" / "sweep.py")]
    program += ["auto", str(folder), str(bench.count(TRIALS)), "0"]
    spy = [beside, "record", "--format", "raw", "--function"]
    spy += ["--rate", str(PER_SECOND), "--output"]
    words = bench.words(*spy, str(folder / "rank 0.raw"), "--", *program, ranks=1)
    words += [":", "-n", "1", *spy, str(folder / "a worker.raw"), "--", *program]
    if bench.workers > 1:
        words += [":", "-n", str(bench.workers - 1), *program]
    return rate(run(words)["runs"][0])


def parts_of(samples: str) -> Counter[tuple[str, str]]:
    """Count samples of a run by the function, and its file, that was being executed."""
    parts: Counter[tuple[str, str]] = Counter()
    for line in samples.splitlines():
        stack, _, count = line.rpartition(" ")
        place = PLACE.fullmatch(stack.rpartition(";")[2])
        if place and all(f";{call}" in stack for call in WITHIN):
            parts[place["function"], place["file"]] += int(count)
    return parts


def rows(rank: str, parts: Counter[tuple[str, str]]) -> Iterator[list[str]]:
    """Yield the largest parts, and the rest in one."""
    total = parts.total()
    largest = parts.most_common(SHOWN)
    for (function, file), count in largest:
        yield [rank, f"{count / total:.0%}", f"`{function}`", file]
    rest = total - sum(count for _, count in largest)
    if rest:
        yield [rank, f"{rest / total:.0%}", "all others", ""]

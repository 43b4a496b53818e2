"""Kill a sweep at random moments until it is done, and look for anything lost.

The suite does a few rounds of it, ``scripts/torture`` hundreds.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import processes, swept
from support.experiments import PACKAGE
from support.launch import Launches
from support.moments import DATABASE, MOMENTS
from support.ways import WAYS
from support.witness import Witness, soundness, unreferenced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from support.launch import Running

OPTIONS = ("--db", DATABASE, "--progress", "none", "--extend")
RUN = (*PACKAGE, "run", "exp.py", *OPTIONS)
RANKS = 3
STUDY = "study.json"
SERIAL = "serial"
# The part of the rounds that has a rollback journal instead of a WAL, and of the runs
# in them that ask for other trials than the one before.
SHARED_DISKS = 0.3
OTHER_STUDIES = 0.5
DEADLINE = 60.0


@dataclass
class Round:
    """What became of one database: how often it was killed, and what was wrong."""

    how: str
    number: int
    shared_disk: bool = False
    kills: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    looks: int = 0
    partial_files: int = 0
    lost_files: int = 0
    hot_journals: int = 0
    extensions: int = 0


class Torture:
    """Rounds in a folder of their own; all that is random follows from the seed.

    In each there are up to ``most_kills``; the run that comes after them is left alone.
    ``library`` is the MPI of the rounds that are named after a mode.
    """

    def __init__(
        self,
        folder: Path,
        launches: Launches,
        seed: int,
        most_kills: int = 4,
        library: str = "mpich",
    ) -> None:
        self._library = library
        self._folder = folder
        self._launches = launches
        self._seed = seed
        self._most_kills = most_kills
        self._expected, self._seconds = self._undisturbed()

    def round(self, how: str, number: int) -> Round:
        """Run the sweep ``how`` (serial, mpich, openmpi, one of WAYS), and kill it."""
        rng = random.Random(f"{self._seed} {how} {number}")
        done = Round(how, number, shared_disk=rng.random() < SHARED_DISKS)
        folder = self._made(f"{how}-{number}", shared_disk=done.shared_disk)
        with Witness(folder / DATABASE) as witness:
            for _ in range(rng.randint(1, self._most_kills)):
                if rng.random() < OTHER_STUDIES:
                    ask(folder, swept.any_study(rng))
                    done.extensions += 1
                self._run_and_kill(how, folder, rng, done)
                with witness.standing_still():
                    self._look_at_remains(folder, done)
            ask(folder, swept.STUDY)
            self._start(how, folder).wait(DEADLINE).expect(0)
        witness.look()
        done.wrong += dict.fromkeys(witness.wrong)
        done.looks = witness.looks
        self._look_at_end(folder, done)
        if not done.wrong:
            shutil.rmtree(folder)
        return done

    def _undisturbed(self) -> tuple[swept.Content, float]:
        folder = self._made("undisturbed", shared_disk=False)
        start = time.monotonic()
        self._start(SERIAL, folder).wait(DEADLINE).expect(0)
        return swept.content(folder / DATABASE), time.monotonic() - start

    def _made(self, name: str, *, shared_disk: bool) -> Path:
        folder = self._folder / name
        folder.mkdir()
        more = swept.ON_SHARED_DISK if shared_disk else ""
        (folder / "exp.py").write_text(swept.SCRIPT + more)
        ask(folder, swept.STUDY)
        return folder

    def _start(self, how: str, folder: Path) -> Running:
        if how == SERIAL:
            return self._launches.start_serial(*RUN, cwd=folder)
        if how in WAYS:
            way, library = WAYS[how], self._library
            return way.start_run(self._launches, *OPTIONS, library=library, cwd=folder)
        return self._launches.start_mpirun(RANKS, *RUN, library=how, cwd=folder)

    def _run_and_kill(
        self, how: str, folder: Path, rng: random.Random, done: Round
    ) -> None:
        """Kill the run when a moment has come, unless it ends before."""
        moment = rng.choice(MOMENTS)
        running = self._start(how, folder)
        come = moment(folder, rng, self._seconds)
        deadline = time.monotonic() + DEADLINE
        while running.poll() is None and not come():
            if time.monotonic() > deadline:
                running.wait(0)  # shows all stacks, and fails
            time.sleep(0.0005)
        if running.poll() is None:
            kill(running, rng)
            done.kills.append(moment.__name__)
        else:
            running.wait(0).expect(0)

    def _look_at_remains(self, folder: Path, done: Round) -> None:
        """Look at a copy, so that the next reader or run finds what the kill left."""
        database = folder / DATABASE
        if not database.exists():
            return
        copy = folder / "copy"
        copy.mkdir()
        for path in folder.glob(f"{DATABASE}*"):
            if path.is_file() and not path.name.endswith("-shm"):
                shutil.copy(path, copy)
        done.hot_journals += any(
            path.stat().st_size for path in copy.glob("*-[wj][ao][lu]*")
        )
        if (verdict := soundness(copy / DATABASE)) != "ok":
            done.wrong.append(f"after a kill: {verdict}")
        lost = unreferenced(copy / DATABASE, folder / f"{DATABASE}.arrays")
        done.lost_files += len(lost)
        done.partial_files += sum(name.endswith(".part") for name in lost)
        shutil.rmtree(copy)

    def _look_at_end(self, folder: Path, done: Round) -> None:
        database, arrays = folder / DATABASE, folder / f"{DATABASE}.arrays"
        if lost := unreferenced(database, arrays):
            done.wrong.append(f"array files that nobody knows: {sorted(lost)}")
        # No reader is there any more, so that it can make the journal part of the file.
        again = self._start(SERIAL, folder).wait(DEADLINE).expect(0)
        if f"{swept.TRIALS} finished before" not in again.stdout:
            done.wrong.append(f"run once more, it had work to do: {again.stdout}")
        if swept.content(database) != self._expected:
            done.wrong.append("the results are not those of an undisturbed run")
        if (verdict := soundness(database)) != "ok":
            done.wrong.append(f"at the end: {verdict}")
        ours = {"exp.py", STUDY, "__pycache__"}
        left = {path.name for path in folder.iterdir()} - ours
        if left != {database.name, arrays.name}:
            done.wrong.append(f"left over: {sorted(left)}")


def ask(folder: Path, study: dict[str, list[int]]) -> None:
    """Let the next run ask for these trials."""
    (folder / STUDY).write_text(json.dumps(study))


def kill(running: Running, rng: random.Random) -> None:
    """Kill the whole job, launcher and ranks, in an order that is different each time.

    As when a scheduler's last word is SIGKILL, or memory runs out.
    """
    alive = running.processes()
    rng.shuffle(alive)
    processes.send(alive, signal.SIGKILL)
    running.kill_tree()


def summary(rounds: Sequence[Round]) -> str:
    """Return a table with a line per way of running, and below it what was wrong."""
    counted = (
        "shared_disk",
        "extensions",
        "looks",
        "hot_journals",
        "partial_files",
        "lost_files",
    )
    moments = [moment.__name__ for moment in MOMENTS]
    table = [("how", "rounds", "kills", *moments, *counted, "wrong")]
    for how in dict.fromkeys(each.how for each in rounds):
        mine = [each for each in rounds if each.how == how]
        kills = [moment for each in mine for moment in each.kills]
        counts = [len(mine), len(kills), *map(kills.count, moments)]
        counts += [sum(getattr(each, name) for each in mine) for name in counted]
        counts.append(sum(bool(each.wrong) for each in mine))
        table.append((how, *map(str, counts)))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(map(str.rjust, row, widths)) for row in table]
    for each in rounds:
        lines += [f"{each.how} round {each.number}: {text}" for text in each.wrong]
    return "\n".join(lines)


def main() -> int:
    """Do many rounds, a third of them serial, and say what was found."""
    given = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="torture-", dir=given.directory))
    print(f"seed {given.seed}, in {folder}", flush=True)
    rounds = []
    with Launches(folder) as launches:
        torture = Torture(folder, launches, given.seed, library=given.library)
        hows = (
            list(WAYS) if given.every_mode else [SERIAL, given.library, given.library]
        )
        for number in range(given.rounds):
            rounds.append(_one(torture, hows[number % len(hows)], number))
            if rounds[-1].wrong or (number + 1) % 10 == 0:
                print(f"{number + 1} of {given.rounds} rounds", *rounds[-1].wrong)
                sys.stdout.flush()
    print(summary(rounds))
    if any(each.wrong for each in rounds):
        return 1
    shutil.rmtree(folder)
    return 0


def _one(torture: Torture, how: str, number: int) -> Round:
    try:
        return torture.round(how, number)
    except (pytest.fail.Exception, Exception) as failure:  # noqa: BLE001
        # Whatever it is, the rounds before it and after it still count.
        return Round(how, number, wrong=[f"{type(failure).__name__}: {failure}"])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/torture", description=__doc__)
    add = parser.add_argument
    add("--rounds", type=int, default=150)
    add("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    add("--library", choices=("mpich", "openmpi"), default="mpich")
    add("--every-mode", action="store_true", help="not only serial and MPIMode")
    add("--directory", metavar="DIR", help="work on the disk that holds this folder")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

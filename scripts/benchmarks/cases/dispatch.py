"""How fast trials that do nothing are handed out, and their results kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..building import floor
from ..figures import Section, paired
from ..repeating import Contender, rates

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..launching import Bench

MEMORY = "nothing; results in rank 0's memory"
ABOUT = """\
Trials that do nothing and give a small result, on {ranks} ranks: one coordinates, the
others work. Each contender has brought its workers up, and made or stored its trials,
before its clock starts; the clock stops when the last result is where it is to stay.
Ours is timed around the whole call of `execute`. Contenders run in turn, repeats:
{repeats}; trials/s is the median, the spread is the least and the largest. What is
required is judged by the median of the ratios within each round."""

ONE_BY_ONE = "experimenter_mpi, batch_size=1"
AUTO = 'experimenter_mpi, batch_size="auto"'
FLOOR = "a bare loop in C, one round trip each"
FUTURES = "mpi4py.futures, as it comes"
SCHWIMMBAD = "schwimmbad MPIPool"
PY_EXPERIMENTER = "PyExperimenter on SQLite"
OPTUNA = "Optuna on SQLite, random sampler"


BOUNDS = [
    ("batch_size=1 / mpi4py.futures as it comes", ONE_BY_ONE, FUTURES, 5),
    ("batch_size=1 / schwimmbad", ONE_BY_ONE, SCHWIMMBAD, 0.25),
    ("batch_size=1 / PyExperimenter", ONE_BY_ONE, PY_EXPERIMENTER, 100),
    ("batch_size=1 / Optuna", ONE_BY_ONE, OPTUNA, 100),
    ('"auto" / the loop in C', AUTO, FLOOR, 0.25),
    ('"auto" / the loop in C, aimed at', AUTO, FLOOR, 0.5),
]


def measure(bench: Bench) -> Section:
    """Compare ours, its peers, and the floor."""
    contenders = [*_ours(bench), _floor(bench), *_forgetting(bench), *_keeping(bench)]
    found = rates(contenders, bench.repeats)
    section = Section(
        "Dispatch: trials that do nothing",
        ABOUT.format(ranks=bench.ranks, repeats=bench.repeats),
        ["", "trials/s", "spread", "what is kept of each trial"],
    )
    for each in contenders:
        section.add(found[each.name], each.keeps)
    for what, ours, other, bound in BOUNDS:
        measured = paired(found[ours], found[other])
        section.require(what, measured, at_least=bound, unit=" x")
    return section


def _ours(bench: Bench) -> list[Contender]:
    made = []
    for name, size, trials in ((ONE_BY_ONE, 1, 60_000), (AUTO, "auto", 200_000)):
        made += [
            Contender(
                name, "all, durable, one SQLite file", _kept(bench, size, trials)
            ),
            Contender(
                f"{name}, keeping nothing", "nothing", _dropped(bench, size, trials)
            ),
        ]
    return made


def _kept(bench: Bench, size: int | str, trials: int) -> Callable[[], dict[str, Any]]:
    return bench.in_scratch(lambda folder: _first(bench, size, folder, trials))


def _dropped(
    bench: Bench, size: int | str, trials: int
) -> Callable[[], dict[str, Any]]:
    return lambda: _first(bench, size, "-", trials)


def _first(
    bench: Bench, size: int | str, folder: object, trials: int
) -> dict[str, Any]:
    """Run one sweep of trials that do nothing."""
    count = bench.count(trials)
    done = bench.launch("programs/sweep.py", size, folder, count, 0)
    return {**done, **done["runs"][0]}


def _floor(bench: Bench) -> Contender:
    def run() -> dict[str, Any]:
        trials = bench.count(1_000_000)
        return bench.launch(floor(bench), trials, binary=True)

    return Contender(FLOOR, "nothing", run)


def _forgetting(bench: Bench) -> list[Contender]:
    """Return the peers that keep nothing."""

    def futures(trials: int, chunk: int, **extra: str) -> Callable[[], dict[str, Any]]:
        return lambda: bench.launch(
            "peers/futures_pool.py",
            bench.count(trials),
            chunk,
            options=["-m", "mpi4py.futures"],
            extra=extra,
        )

    def joblib(trials: int, batch: int | str) -> Callable[[], dict[str, Any]]:
        program, count = "peers/joblib_processes.py", bench.count(trials)
        return lambda: bench.alone(program, count, batch, bench.workers)

    def schwimmbad() -> dict[str, Any]:
        return bench.launch("peers/schwimmbad_pool.py", bench.count(100_000))

    libensemble = bench.in_scratch(
        lambda folder: bench.launch(
            "peers/libensemble_mpi.py", bench.count(4_000), folder
        )
    )

    processes = f"{MEMORY.replace('rank 0', 'one process')}; no MPI"
    return [
        Contender(FUTURES, MEMORY, futures(8_000, 1)),
        Contender(
            "mpi4py.futures, MPI4PY_FUTURES_BACKOFF=0",
            MEMORY,
            futures(30_000, 1, MPI4PY_FUTURES_BACKOFF="0"),
        ),
        Contender("mpi4py.futures, chunks of 100", MEMORY, futures(500_000, 100)),
        Contender(SCHWIMMBAD, MEMORY, schwimmbad),
        Contender("libEnsemble, MPI manager and workers", MEMORY, libensemble),
        Contender("joblib, batches of 1", processes, joblib(15_000, 1)),
        Contender("joblib, batches auto", processes, joblib(300_000, "auto")),
    ]


def _keeping(bench: Bench) -> list[Contender]:
    """Return the peers that keep results in SQLite."""

    def on_disk(program: str, trials: int) -> Callable[[], dict[str, Any]]:
        return bench.in_scratch(
            lambda folder: bench.launch(program, bench.count(trials), folder)
        )

    rows = "all, durable, rows of one SQLite file"
    return [
        Contender(
            PY_EXPERIMENTER, rows, on_disk("peers/py_experimenter_sqlite.py", 200)
        ),
        Contender(OPTUNA, rows, on_disk("peers/optuna_sqlite.py", 100)),
    ]

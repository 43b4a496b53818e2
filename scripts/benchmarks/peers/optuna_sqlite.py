"""Optuna on SQLite: `mpiexec -n 3 python optuna_sqlite.py TRIALS FOLDER`.

Its random sampler, for a grid of anything is a sweep like ours. The worker ranks ask
the database for work themselves; rank 0 makes the study and waits. Each trial's
parameters, value and result are rows.
"""

import sys
import time

import optuna
from benchmarks.peers.ranks import WORLD, meet
from benchmarks.peers.work import result
from benchmarks.telling import tell


def objective(trial: optuna.Trial) -> float:
    """Run one trial."""
    n = trial.suggest_int("n", 1, 1000)
    return float(result(n)["n"])


def main() -> None:
    """Time the worker ranks' trials, the study having been made."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    trials, storage = int(sys.argv[1]), f"sqlite:///{sys.argv[2]}/optuna.db"
    if WORLD.rank == 0:
        optuna.create_study(storage=storage, study_name="sweep")
    meet()
    sampler = optuna.samplers.RandomSampler(seed=WORLD.rank)
    study = optuna.load_study(study_name="sweep", storage=storage, sampler=sampler)
    workers = WORLD.size - 1
    share = trials // workers + (WORLD.rank <= trials % workers)
    meet()
    start = time.perf_counter()
    if WORLD.rank != 0:
        study.optimize(objective, n_trials=share)
    meet()
    took = time.perf_counter() - start
    if WORLD.rank == 0:
        finished = sum(t.state.is_finished() for t in study.get_trials())
        if finished != trials:
            sys.exit(f"{finished} of {trials} trials are kept")
        tell(trials=trials, seconds=took)


if __name__ == "__main__":
    main()

"""libEnsemble: `mpiexec -n 3 python libensemble_mpi.py TRIALS FOLDER`.

Manager and workers over MPI; the trials are made before, so that no rank generates. The
history stays in the manager's memory, which times the trials: from the first one that
was given to the last one that came back.
"""

import os
import sys
from typing import Any

import numpy as np
from benchmarks.peers.work import result
from benchmarks.telling import tell
from libensemble.alloc_funcs.give_pregenerated_work import give_pregenerated_sim_work
from libensemble.libE import libE
from mpi4py import MPI


def simulate(rows: Any) -> Any:
    """Run one trial."""
    out = np.zeros(1, dtype=[("y", int)])
    out["y"] = result(int(rows["n"][0]))["n"]
    return out


def main() -> None:
    """Time all trials but the first 64, which bring all workers up."""
    warm_up = 64
    trials = int(sys.argv[1]) + warm_up
    os.chdir(sys.argv[2])
    fields = [("n", int), ("sim_id", int), ("sim_started", bool), ("sim_ended", bool)]
    made = np.zeros(trials, dtype=fields)
    made["n"] = made["sim_id"] = range(trials)
    history, _, _ = libE(
        sim_specs={"sim_f": simulate, "in": ["n"], "out": [("y", int)]},
        gen_specs={},
        exit_criteria={"sim_max": trials},
        alloc_specs={"alloc_f": give_pregenerated_sim_work, "out": []},
        libE_specs={"comms": "mpi", "disable_log_files": True, "safe_mode": False},
        H0=made,
    )
    if MPI.COMM_WORLD.rank == 0:
        if not (history["sim_ended"].all() and (history["y"] == made["n"]).all()):
            sys.exit("results are wrong")
        start = history["sim_started_time"][warm_up:].min()
        took = float(history["sim_ended_time"].max() - start)
        tell(trials=trials - warm_up, seconds=took)


if __name__ == "__main__":
    main()

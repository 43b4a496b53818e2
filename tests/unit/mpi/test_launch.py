"""Whether MPI is worth asking, told from what real launchers set."""

from __future__ import annotations

import os
import socket
import sys
import types

import pytest

from experimenter_mpi.errors import LaunchError
from experimenter_mpi.mpi import launch
from experimenter_mpi.mpi.launch import (
    crowding,
    launched,
    leave_parents_launch,
    rank_hint,
    share_cores,
    told_local_size,
)
from support.fakes import WITH_PACKAGE

# As seen on Slurm 22.05 with MPICH 5.0 and 4.0, Open MPI 5.0 and 4.1.
BATCH = {
    "SLURM_JOB_ID": "17",
    "SLURM_NTASKS": "4",
    "SLURM_NPROCS": "4",
    "SLURM_NNODES": "2",
    "SLURM_TASKS_PER_NODE": "2(x2)",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
}
STEP = {**BATCH, "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4"}
ALONE = {**BATCH, "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "1"}
HYDRA = {"PMI_RANK": "3", "PMI_SIZE": "4", "PMI_FD": "8", "MPI_LOCALRANKID": "1"}
OPEN_MPI = {
    "OMPI_COMM_WORLD_RANK": "3",
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_UNIVERSE_SIZE": "4",
    "PMIX_RANK": "3",
    "PMIX_NAMESPACE": "prterun-n1-4711@1",
}
PMIX = {"PMIX_RANK": "3", "PMIX_NAMESPACE": "slurm.pmix.17.0", "SLURM_PROCID": "3"}

ONE_OF_SEVERAL = {
    "mpiexec of MPICH": HYDRA,
    "mpiexec of MPICH in a Slurm job": {
        **ALONE,
        **HYDRA,
        "SLURM_STEP_NUM_TASKS": "2",
        "PMI_JOBID": "17.0",
    },
    "mpiexec of MPICH on one node of a Slurm job": {**ALONE, **HYDRA},
    "srun --mpi=pmi2": {**STEP, **HYDRA, "SLURM_PROCID": "3"},
    "srun --mpi=pmix": {**STEP, **PMIX},
    "srun --mpi=none": {**STEP, "SLURM_PROCID": "3"},
    "mpiexec of Open MPI": OPEN_MPI,
    "mpiexec of Open MPI in a Slurm job": {**BATCH, **OPEN_MPI},
    "a PMIx launcher that tells no size": {"PMIX_RANK": "3", "PMIX_NAMESPACE": "x"},
    "MVAPICH": {"MV2_COMM_WORLD_RANK": "3", "MV2_COMM_WORLD_SIZE": "4"},
    "jsrun": {"JSM_NAMESPACE_RANK": "3", "JSM_NAMESPACE_SIZE": "4"},
    "flux run": {"FLUX_TASK_RANK": "3", "FLUX_JOB_SIZE": "4"},
    "PALS": {"PALS_RANKID": "3", "PALS_SIZE": "4"},
    "aprun": {"ALPS_APP_PE": "3"},
}
BY_ITSELF = {
    "a laptop": {},
    "the batch script of a Slurm job": BATCH,
    "srun -n 1": {**ALONE},
    "the interactive step of salloc": {**ALONE, "SLURM_STEP_ID": "4294967290"},
    "mpiexec -n 1 of MPICH": {**HYDRA, "PMI_RANK": "0", "PMI_SIZE": "1"},
    "mpiexec -n 1 of Open MPI": {
        **OPEN_MPI,
        "OMPI_COMM_WORLD_RANK": "0",
        "OMPI_COMM_WORLD_SIZE": "1",
    },
    "a Grid Engine job": {
        "JOB_ID": "4",
        "NSLOTS": "8",
        "PE": "mpi",
        "SGE_TASK_ID": "1",
    },
    "a PBS job": {"PBS_JOBID": "4.server", "PBS_NODEFILE": "/f", "PBS_TASKNUM": "1"},
    "an LSF job": {"LSB_JOBID": "4", "LSB_DJOB_NUMPROC": "8"},
    "a launcher that says nothing sensible": {"PMI_SIZE": "many"},
}


@pytest.fixture(autouse=True)
def by_itself(monkeypatch):
    """Whatever runs the tests, they are about the environments written here."""
    everything = set().union(*ONE_OF_SEVERAL.values(), *BY_ITSELF.values())
    for name in everything:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delitem(sys.modules, "mpi4py.MPI", raising=False)


@pytest.mark.parametrize("name", ONE_OF_SEVERAL)
def test_these_launchers_started_one_of_several(name):
    assert launched(ONE_OF_SEVERAL[name])


@pytest.mark.parametrize(
    "environment",
    [
        {"PMI_RANK": "1", "PMI_SIZE": "2"},
        {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2"},
    ],
)
def test_two_are_several(environment):
    assert launched(environment)


@pytest.mark.parametrize("name", BY_ITSELF)
def test_these_processes_are_by_themselves(name):
    assert not launched(BY_ITSELF[name])


@pytest.mark.parametrize("name", ONE_OF_SEVERAL)
def test_the_rank_a_launcher_tells_is_found(name):
    assert 3 == rank_hint(ONE_OF_SEVERAL[name])


def test_under_hydra_the_rank_is_not_that_of_slurms_own_step():
    """Slurm started the proxy, and every rank has inherited its SLURM_PROCID=0."""
    assert 3 == rank_hint({"SLURM_PROCID": "0", **HYDRA})


def test_a_rank_that_is_no_number_is_not_taken_for_rank_0():
    assert 0 != rank_hint({"PMI_RANK": "first"})


def test_a_process_by_itself_has_no_rank():
    assert rank_hint({}) is None


def test_the_environment_asked_is_this_processs(monkeypatch):
    before = launched(), rank_hint()
    monkeypatch.setenv("PMI_SIZE", "4")
    monkeypatch.setenv("PMI_RANK", "2")

    assert (False, None) == before
    assert (True, 2) == (launched(), rank_hint())


def test_mpi_is_asked_when_the_script_has_loaded_it_itself(monkeypatch):
    """Under a launcher that nobody has heard of."""
    before = launch.concerns_mpi()
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", types.ModuleType("mpi4py.MPI"))

    assert (False, True) == (before, launch.concerns_mpi())


class FakeModule:
    """Stands in for the module ``transport``: who asks it has started MPI."""

    def __init__(self, rank=2, size=4):
        self.rank = rank
        self.size = size
        self.asked = 0
        self.neighbours = range(size)

    version = "MPICH Version: 5.0.2"

    def load(self):
        return types.SimpleNamespace(Get_library_version=lambda: self.version)

    def connect(self, crowding=1.0):
        self.asked += 1
        return self if self.size > 1 else None

    def world(self):
        self.asked += 1
        return types.SimpleNamespace(rank=self.rank, size=self.size)

    def adopted(self):
        return None


@pytest.fixture
def transport(monkeypatch):
    from experimenter_mpi import mpi

    fake = FakeModule()
    monkeypatch.setattr(mpi, "transport", fake, raising=False)
    monkeypatch.setitem(sys.modules, "experimenter_mpi.mpi.transport", fake)
    return fake


def test_a_process_by_itself_asks_no_mpi(transport):
    assert (None, 0) == (launch.connect(), launch.world_rank())
    assert 0 == transport.asked


def test_a_process_by_itself_may_insist(transport):
    assert transport is launch.connect(even_alone=True)


def test_one_of_several_asks_mpi_who_it_is(transport, monkeypatch):
    """The launcher's word is not taken for it: here it says 0."""
    monkeypatch.setenv("PMI_SIZE", "4")
    monkeypatch.setenv("PMI_RANK", "0")

    assert transport is launch.connect()
    assert 2 == launch.world_rank()


# Rank, ranks of its node, how many ranks of six work; its number, and how many there.
PLACES = [
    (0, [0, 1, 2], None, (0, 2)),
    (1, [0, 1, 2], None, (0, 2)),
    (2, [0, 1, 2], None, (1, 2)),
    (4, [3, 4, 5], None, (1, 3)),
    (4, [0, 2, 4], None, (1, 2)),
    (2, [0, 2, 4], 3, (0, 1)),
    (3, [3, 4, 5], 3, (0, 1)),
    (0, [0], None, (0, 1)),
    (5, [5], 3, (0, 1)),
]


@pytest.mark.parametrize(("rank", "node", "workers", "expected"), PLACES)
def test_a_rank_finds_its_number_among_the_workers_of_its_node(
    rank, node, workers, expected, monkeypatch
):
    monkeypatch.setenv("EXPERIMENTER_LOCAL_RANK", "7")
    monkeypatch.setenv("EXPERIMENTER_WORKERS_ON_NODE", "8")
    transport = types.SimpleNamespace(rank=rank, size=6, neighbours=node)

    launch.take_place(transport, workers)

    assert expected == found_place()


def found_place():
    return tuple(
        int(os.environ[f"EXPERIMENTER_{name}"])
        for name in ("LOCAL_RANK", "WORKERS_ON_NODE")
    )


def test_a_process_by_itself_is_the_only_worker(transport, monkeypatch):
    for name in ("LOCAL_RANK", "WORKERS_ON_NODE"):
        monkeypatch.delenv(f"EXPERIMENTER_{name}", raising=False)

    launch.connect()

    assert (0, 1) == found_place()


def test_a_process_that_a_trial_started_keeps_the_number_of_that(
    transport, monkeypatch
):
    monkeypatch.setenv("EXPERIMENTER_LOCAL_RANK", "2")
    monkeypatch.setenv("EXPERIMENTER_WORKERS_ON_NODE", "4")

    launch.connect()

    assert (2, 4) == found_place()


WORLDS_OF_ONE = {
    "srun --mpi=none": ({**STEP, "SLURM_PROCID": "0"}, 4),
    "srun --mpi=pmi2 of a library that knows only PMIx": (
        {**STEP, **HYDRA, "PMI_RANK": "0"},
        4,
    ),
    "mpiexec of MPICH with Open MPI's library": ({"PMI_RANK": "0", "PMI_SIZE": "4"}, 4),
    "mpiexec of Open MPI with MPICH's library": (
        {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "3", "PMIX_RANK": "0"},
        3,
    ),
    "flux run of a library without it": ({"FLUX_JOB_SIZE": "8"}, 8),
}


@pytest.fixture
def alone(transport, monkeypatch):
    """MPI says that this process is the only one."""
    monkeypatch.setattr(transport, "rank", 0)
    monkeypatch.setattr(transport, "size", 1)
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    return transport


def set_all(monkeypatch, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("ask", [launch.connect, launch.world_rank])
@pytest.mark.parametrize("name", WORLDS_OF_ONE)
def test_one_of_many_worlds_of_one_is_refused_with_what_would_work(
    name, ask, alone, monkeypatch
):
    """Each of them would run the whole sweep and write to the same database."""
    environment, count = WORLDS_OF_ONE[name]
    set_all(monkeypatch, environment)

    with pytest.raises(LaunchError, match=f"started {count} processes") as caught:
        ask()

    text = str(caught.value)
    assert "to MPICH each of them is alone" in text
    assert f"mpiexec -n {count} python" in text and "\n" not in text
    assert ("'srun --mpi=pmi2 -n 4 python" in text) is ("SLURM_STEP_ID" in environment)


def test_open_mpi_is_launched_by_pmix(alone, monkeypatch):
    set_all(monkeypatch, STEP)
    monkeypatch.setattr(alone, "version", "Open MPI v5.0.11, package: ...")

    with pytest.raises(LaunchError, match=r"'srun --mpi=pmix -n 4 .* or '.*mpiexec"):
        launch.connect()


def test_open_mpi_under_flux_is_told_of_the_plugin_that_it_needs(alone, monkeypatch):
    set_all(monkeypatch, {"FLUX_JOB_SIZE": "4", "FLUX_JOB_ID": "f7"})
    with pytest.raises(LaunchError, match="'flux run -n 4") as caught:
        launch.connect()
    assert "flux-pmix" not in str(caught.value)
    monkeypatch.setattr(alone, "version", "Open MPI v5.0.11, package: ...")

    with pytest.raises(LaunchError, match="-o pmi=pmix.* needs the plugin flux-pmix"):
        launch.connect()


@pytest.mark.parametrize(
    "environment",
    [
        *BY_ITSELF.values(),
        {"PMIX_RANK": "0", "PMIX_NAMESPACE": "x"},
        # Slurm counts the daemons of an mpiexec that was asked for one process.
        {**STEP, "PMI_RANK": "0", "PMI_SIZE": "1"},
    ],
)
def test_one_process_that_is_meant_to_be_one_is_not_refused(
    environment, alone, monkeypatch
):
    set_all(monkeypatch, environment)

    assert (None, 0) == (launch.connect(even_alone=True), launch.world_rank())


@pytest.mark.parametrize(
    ("programs", "family", "beside"),
    [
        (["mpiexec", "hydra_pmi_proxy"], "mpich", True),
        (["mpiexec", "hydra_pmi_proxy"], "openmpi", False),
        (["mpiexec", "prterun"], "openmpi", True),
        (["mpiexec", "prterun"], "mpich", False),
        ([], "mpich", False),
    ],
)
def test_the_mpiexec_beside_python_is_named_if_it_is_the_librarys(
    tmp_path, monkeypatch, programs, family, beside
):
    """A virtual environment with MPICH's wheel, and the site's Open MPI loaded."""
    for name in programs:
        (tmp_path / name).touch()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    expected = str(tmp_path / "mpiexec") if beside else "mpiexec"
    assert expected == launch.mpiexec_of(family)


SCRIPT = """
from experimenter_mpi import Experiment, RepeatVariable, execute, open_db
with open_db("trap.db", ".") as db:
    execute(Experiment("one", function=lambda c, t: {}, configuration={}), db)
"""


@pytest.mark.parametrize(
    "arguments", [("exp.py",), ("-m", "experimenter_mpi", "run", "exp.py")]
)
@pytest.mark.parametrize(("rank", "said"), [("0", 1), ("2", 0)])
def test_worlds_of_one_end_with_3_before_anything_is_written(
    serial, tmp_path, arguments, rank, said
):
    """One of them says it, all of them end."""
    (tmp_path / "exp.py").write_text(SCRIPT)
    environment = {**WITH_PACKAGE, **STEP, "SLURM_PROCID": rank}

    done = serial(*arguments, env=environment).expect(3)

    assert said == len(done.stderr.splitlines())
    assert [tmp_path / "exp.py"] == list(tmp_path.iterdir())


def test_a_laptop_run_never_loads_mpi(serial):
    code = (
        "import sys\n"
        "from experimenter_mpi.mpi import launch\n"
        "assert launch.connect() is None and launch.world_rank() == 0\n"
        "print([name for name in sys.modules if name.startswith('mpi4py')])\n"
    )

    assert "[]\n" == serial("-c", code, env=WITH_PACKAGE).expect(0).stdout


def test_a_process_that_insists_and_is_alone_has_no_transport(serial):
    code = (
        "from experimenter_mpi.mpi import launch\n"
        "print(launch.connect(even_alone=True), launch.world_rank())\n"
    )

    assert "None 0\n" == serial("-c", code, env=WITH_PACKAGE).expect(0).stdout


def test_without_an_mpi_library_the_error_says_what_to_install(monkeypatch):
    from experimenter_mpi.mpi import transport as real

    monkeypatch.setitem(sys.modules, "mpi4py", None)

    with pytest.raises(LaunchError, match=r"pip install .*experimenter_mpi\[mpich\]"):
        real.world()


# --- cores


@pytest.mark.parametrize(
    ("environment", "size"),
    [
        ({**HYDRA, "MPI_LOCALNRANKS": "3"}, 3),
        ({**OPEN_MPI, "OMPI_COMM_WORLD_LOCAL_SIZE": "4"}, 4),
        ({**STEP, "SLURM_STEP_TASKS_PER_NODE": "2(x2)"}, 2),
        ({**STEP, "SLURM_STEP_TASKS_PER_NODE": "1(x2),3,2"}, 3),
        # Within a step the daemons of mpiexec are what Slurm counts.
        ({**STEP, "SLURM_STEP_TASKS_PER_NODE": "1(x2)", "MPI_LOCALNRANKS": "8"}, 8),
        ({**BATCH, "SLURM_TASKS_PER_NODE": "4"}, 1),
        ({**STEP, "SLURM_STEP_TASKS_PER_NODE": "odd"}, 1),
        ({}, 1),
    ],
)
def test_how_many_ranks_share_a_host_is_told_by_the_launcher(environment, size):
    assert size == told_local_size(environment)


def test_how_many_ranks_share_a_core_follows_from_the_cores_there_are(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 4)

    assert 16 == crowding({**HYDRA, "MPI_LOCALNRANKS": "64"})
    assert 1 == crowding({**HYDRA, "MPI_LOCALNRANKS": "2"})


def test_ranks_that_share_a_host_compute_on_one_thread_each():
    """Sixteen ranks of sixteen threads each are slower than sixteen of one."""
    environment = {**HYDRA, "MPI_LOCALNRANKS": "2"}
    share_cores(environment)

    assert "1" == environment["OMP_NUM_THREADS"] == environment["OPENBLAS_NUM_THREADS"]


def test_what_a_job_script_says_of_threads_stays():
    said = {**HYDRA, "MPI_LOCALNRANKS": "2", "MKL_NUM_THREADS": "3"}
    environment = dict(said)
    share_cores(environment)

    assert said == environment


def test_a_rank_that_has_its_host_to_itself_may_use_all_of_it():
    environment = {**HYDRA, "MPI_LOCALNRANKS": "1"}
    share_cores(environment)

    assert "OMP_NUM_THREADS" not in environment


def test_a_rank_that_was_given_cores_by_slurm_uses_these():
    step = {**STEP, "SLURM_STEP_TASKS_PER_NODE": "2", "SLURM_CPUS_PER_TASK": "4"}
    share_cores(step)

    assert "4" == step["OMP_NUM_THREADS"]


# --- children of ranks


@pytest.fixture
def without_mpi(monkeypatch):
    monkeypatch.delitem(sys.modules, "mpi4py.MPI", raising=False)


def inherited(variables, mark):
    """Return what a rank's child takes itself for, whose rank left this mark."""
    environment = {**variables, "EXPERIMENTER_RANK": mark, "SLURM_JOB_ID": "17"}
    leave_parents_launch(environment)
    assert "17" == environment["SLURM_JOB_ID"]
    return launched(environment)


# PMI_FD=8 is no descriptor of this process, or no socket.
CHILDREN = {
    "mpiexec of MPICH": (HYDRA, "1 8 3"),
    "mpiexec of Open MPI": (OPEN_MPI, "1 prterun-n1-4711@1 3"),
    "srun --mpi=pmix": ({**STEP, **PMIX}, "1 slurm.pmix.17.0 3"),
}


@pytest.mark.parametrize("launcher", CHILDREN)
def test_a_process_that_a_rank_has_started_was_started_by_itself(launcher, without_mpi):
    assert not inherited(*CHILDREN[launcher])


@pytest.mark.parametrize("launcher", CHILDREN)
def test_a_rank_that_a_rank_has_started_by_a_launcher_is_one(launcher, without_mpi):
    variables, _ = CHILDREN[launcher]

    assert inherited(variables, "1 prterun-n1-4711@2 3")
    assert inherited(variables, "")


def test_a_rank_that_mpich_gave_the_descriptor_of_another_is_one(without_mpi):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        number = str(ours.fileno())
        assert inherited({**HYDRA, "PMI_FD": number}, f"1 {number} 3")


@pytest.mark.parametrize("launcher", CHILDREN)
def test_a_rank_does_not_take_itself_for_its_child(launcher, without_mpi):
    variables, mark = CHILDREN[launcher]

    assert inherited(variables, mark.replace("1 ", f"{os.getpid()} ", 1))

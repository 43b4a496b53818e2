"""The launch lines are those that were seen to work."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from experimenter_mpi.cluster.launch_lines import (
    LIBRARIES,
    launch_lines,
    library_of,
)
from experimenter_mpi.cluster.schedulers import SCHEDULERS


@pytest.mark.parametrize(
    ("library", "scheduler", "expected"),
    [
        ("mpich", "slurm", ["srun --mpi=pmi2 -n 4", "mpiexec -n 4"]),
        (
            "openmpi",
            "slurm",
            ["srun --mpi=pmix -n 4", "mpiexec --bind-to none -n 4"],
        ),
        ("intel", "slurm", ["mpiexec -n 4"]),
        ("cray", "slurm", ["srun --mpi=cray_shasta -n 4", "mpiexec -n 4"]),
        ("mpich", "pbs", ["mpiexec -n 4"]),
        ("openmpi", "pbs", ["mpiexec --bind-to none -n 4"]),
        ("mpich", "sge", ["mpiexec -n 4"]),
        ("openmpi", "sge", ['mpiexec --hostfile "$hosts" --bind-to none -n 4']),
        ("mpich", "lsf", ["mpiexec -n 4"]),
        ("openmpi", "lsf", ['mpiexec --hostfile "$hosts" --bind-to none -n 4']),
        ("mpich", "flux", ["flux run -n 4", "mpiexec -n 4"]),
        (
            "openmpi",
            "flux",
            ["flux run -o pmi=pmix -n 4", "mpiexec --bind-to none -n 4"],
        ),
        ("mpich", "none", ["mpiexec -n 4"]),
        ("openmpi", "none", ["mpiexec --bind-to none -n 4"]),
    ],
)
def test_each_library_is_launched_as_its_scheduler_wants_it(
    library, scheduler, expected
):
    assert expected == [line.text for line in launch_lines(library, scheduler, 4)]


def test_only_open_mpis_own_mpiexec_lets_a_job_outlive_a_rank():
    lines = launch_lines("openmpi", "slurm", "$N", survive_deaths=True)

    assert ["mpiexec --with-ft ulfm --bind-to none -n $N"] == [x.text for x in lines]
    assert [] == launch_lines("mpich", "slurm", "$N", survive_deaths=True)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("MPICH Version:      5.0.2", "mpich"),
        ("MVAPICH2 Version      :\t2.3.7", "mpich"),
        ("MPI VERSION    : CRAY MPICH version 8.1.28.29", "cray"),
        ("Intel(R) MPI Library 2021.9 for Linux* OS", "intel"),
        ("Open MPI v5.0.11, package: Open MPI", "openmpi"),
        ("IBM Spectrum MPI: 10.4.0.3", "openmpi"),
    ],
)
def test_a_library_is_known_by_its_own_words(version, expected):
    assert expected == library_of(version)


@pytest.mark.parametrize(
    ("scheduler", "variable", "written"),
    [
        ("sge", "PE_HOSTFILE", "n1 2 all.q@n1 UNDEFINED\nn2 4 all.q@n2 UNDEFINED\n"),
        ("lsf", "LSB_DJOB_HOSTFILE", "n1\nn2\nn2\nn1\nn2\nn2\n"),
    ],
)
def test_open_mpi_is_told_the_hosts_of_a_scheduler_that_it_does_not_know(
    tmp_path, scheduler, variable, written
):
    (tmp_path / "hosts of the job").write_text(written)
    line = launch_lines("openmpi", scheduler, 6)[0]
    script = "\n".join([*line.setup, 'cat "$hosts"; rm "$hosts"'])
    environment = {variable: "hosts of the job", "PATH": "/usr/bin:/bin"}

    done = subprocess.run(
        [shutil.which("sh"), "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )

    assert "n1 slots=2\nn2 slots=4\n" == done.stdout


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("scheduler", [*SCHEDULERS, "none"])
def test_every_pair_has_a_line(library, scheduler):
    lines = launch_lines(library, scheduler, 2)

    assert lines and all(line.text.startswith(line.launcher) for line in lines)


@pytest.mark.parametrize("pair", [("lam", "slurm"), ("mpich", "condor")])
def test_what_is_unknown_has_none(pair):
    with pytest.raises(ValueError, match="no launch line"):
        launch_lines(*pair, 2)

"""What doctor says of the MPI library and the mpiexec on PATH."""

from __future__ import annotations

import pytest

from experimenter_mpi.doctor import mpi_library

MPICH = "MPICH Version:      5.0.2"
OPEN_MPI = "Open MPI v5.0.11, package: Open MPI user@localhost"
# What their mpiexec --version says.
HYDRA = "HYDRA build details:\n    Version:    5.0.2"
PRTE = "mpiexec (Open MPI) 5.0.11"


def test_a_library_that_starts_is_named():
    assert ("ok", "MPICH Version: 5.0.2") == mpi_library.library(MPICH, None)[1:3]
    assert "Open MPI v5.0.11" == mpi_library.library(OPEN_MPI, None).text


def test_no_library_is_a_problem_with_what_still_works():
    error = "no MPI library can be loaded (reason); load your site's MPI module"
    found = mpi_library.library(None, error, variables={})

    assert ("problem", "no MPI library can be loaded (reason)") == found[1:3]
    assert found.remedy.startswith(
        "load your site's MPI module; without it 'run' works only"
    )


def test_a_variable_that_chose_a_library_in_vain_is_named():
    variables = {"MPI4PY_LIBMPI": "/no/libmpi.so", "MPI4PY_MPIABI": ""}
    found = mpi_library.library(None, "no library; load one", variables=variables)

    assert "no library (MPI4PY_LIBMPI=/no/libmpi.so)" == found.text
    assert found.remedy.startswith("unset MPI4PY_LIBMPI, or load one")


def test_a_library_that_does_not_start_is_a_problem_with_its_last_words():
    found = mpi_library.library(MPICH, None, "PMI server not found")

    expected = "MPICH Version: 5.0.2 does not start here: PMI server not found"
    assert ("problem", expected) == found[1:3]


@pytest.mark.parametrize(("level", "state"), [("multiple", "ok"), ("single", "note")])
def test_a_low_thread_level_is_in_the_way_of_some_modes_only(level, state):
    assert state == mpi_library.threads(level).state


def test_rank_deaths_are_survived_only_where_it_is_switched_on():
    on = mpi_library.fault_tolerance("openmpi", enabled=True, is_launched=True)
    off = mpi_library.fault_tolerance("openmpi", enabled=False, is_launched=True)
    never = mpi_library.fault_tolerance("mpich", enabled=False, is_launched=True)

    assert on.text.startswith("enabled: ")
    assert "'mpiexec --with-ft ulfm' (not enabled" in off.text
    assert "--isolate" in never.text and "ulfm" not in never.text


def test_an_mpi_that_starts_no_workers_is_in_the_way_of_one_mode_only():
    assert "ok" == mpi_library.spawn(None).state
    assert "note" == mpi_library.spawn("no worker started within 60 s").state


@pytest.fixture
def on_path(tmp_path, monkeypatch):
    """Put an mpiexec on PATH that says this of itself."""

    def put(words):
        path = tmp_path / "mpiexec"
        path.write_text(f"#!/bin/sh\ncat <<'END'\n{words}\nEND\n")
        path.chmod(0o700)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return str(path)

    monkeypatch.setattr(mpi_library.sys, "executable", str(tmp_path / "bin" / "python"))
    return put


@pytest.mark.parametrize(
    ("words", "family"),
    [(HYDRA, "mpich"), (HYDRA, "cray"), (PRTE, "openmpi"), ("site's own", "mpich")],
)
def test_the_mpiexec_of_the_library_is_fine(on_path, words, family):
    path = on_path(words)
    found = mpi_library.mpiexec(family, scheduler_launches=False)

    assert ("ok", path) == found[1:3]


@pytest.mark.parametrize(("words", "family"), [(HYDRA, "openmpi"), (PRTE, "mpich")])
def test_the_mpiexec_of_another_library_is_a_problem(on_path, words, family):
    """It would start worlds of one, or fail."""
    on_path(words)

    assert "problem" == mpi_library.mpiexec(family, scheduler_launches=True).state


@pytest.mark.parametrize(
    ("scheduler_launches", "state"), [(True, "note"), (False, "problem")]
)
def test_without_any_mpiexec_only_a_scheduler_can_start_ranks(
    tmp_path, monkeypatch, scheduler_launches, state
):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(mpi_library.sys, "executable", str(tmp_path / "python"))

    found = mpi_library.mpiexec("mpich", scheduler_launches=scheduler_launches)

    assert state == found.state


def test_an_mpiexec_beside_python_is_to_be_called_by_its_path(tmp_path, monkeypatch):
    (tmp_path / "mpiexec").touch()
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(mpi_library.sys, "executable", str(tmp_path / "python"))

    found = mpi_library.mpiexec("mpich", scheduler_launches=False)

    assert ("note", f"call it by its path, {tmp_path}/mpiexec") == found[1::2]

"""What doctor makes of what the ranks say of themselves."""

from __future__ import annotations

import pytest

from experimenter_mpi.doctor import ranks
from experimenter_mpi.doctor.ranks import Rank


def rank(host="n1", cores=(0, 1), **changes):
    made = Rank(host, frozenset(cores), "3.11.7", "0.1.0", "MPICH 5", 1, True)
    return made._replace(**changes)


def test_ranks_are_counted_by_host():
    found = ranks.seen([rank(), rank(), rank("n2")], promised=3)

    assert ("ok", "3 ranks on 2 hosts: n1 (2), n2 (1)") == found[1:3]


def test_fewer_ranks_than_were_promised_are_a_problem():
    assert "problem" == ranks.seen([rank(), rank()], promised=4).state


def test_one_rank_is_worth_a_note():
    found = ranks.seen([rank()], promised=1)

    assert "note" == found.state and "serially" in found.text


def test_ranks_that_are_alike_are_no_finding():
    assert [] == list(ranks.alike([rank(), rank("n2")]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"python": "3.12.1"}, "Python: 3.11.7 on 2 ranks, 3.12.1 on 1 ranks"),
        ({"package": "0.2"}, "experimenter_mpi"),
        ({"library": "Open MPI"}, "MPI: MPICH 5 on 2 ranks, Open MPI on 1 ranks"),
    ],
)
def test_ranks_that_run_different_things_are_a_problem(change, said):
    (found,) = ranks.alike([rank(), rank(), rank("n2", **change)])

    assert "problem" == found.state and said in found.text


def test_each_rank_with_a_core_of_its_own_is_fine():
    (found,) = ranks.cores([rank(cores=[0]), rank(cores=[1]), rank("n2", cores=[0])])

    assert "ok" == found.state


def test_ranks_that_were_bound_to_one_core_are_noticed():
    (found,) = ranks.cores([rank(cores=[3]), rank(cores=[3])])

    assert ("note", "n1: 2 ranks on 1 core") == found[1:3]


@pytest.mark.parametrize(
    ("threads", "wanted", "said"), [(None, 4, "is not set"), (2, 4, "is 2")]
)
def test_more_threads_than_cores_are_noticed(threads, wanted, said):
    (found,) = ranks.blas([rank(threads=threads), rank(threads=threads)])

    assert "note" == found.state and said in found.text
    assert f"may start {wanted} threads on the 2 cores of n1" in found.text


def test_one_thread_each_is_fine_and_so_is_a_rank_that_has_the_host_to_itself():
    assert [] == list(ranks.blas([rank(threads=1), rank(threads=1)]))
    assert [] == list(ranks.blas([rank(threads=None)]))


def test_one_thread_each_is_the_least_even_with_fewer_cores_than_ranks():
    assert [] == list(ranks.blas([rank(threads=1)] * 3))
    assert [] != list(ranks.blas([rank(threads=2)] * 3))


def test_a_host_that_does_not_see_the_folder_is_named():
    (found,) = ranks.sight([rank(), rank("n2", sees_folder=False)], "/scratch")

    assert "note" == found.state
    assert (
        "/scratch is not visible from n2: large arrays go through rank 0" == found.text
    )
    assert [] == list(ranks.sight([rank(), rank(sees_folder=None)], "/scratch"))


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        ({"OMP_NUM_THREADS": "4"}, 4),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "8"}, 8),
        ({"OMP_NUM_THREADS": "many"}, None),
    ],
)
def test_threads_are_what_any_library_was_told(variables, expected):
    assert expected == ranks.threads_per_rank(variables)

"""What a run did, in one line for people and one number for scripts."""

from __future__ import annotations

import uuid

import pytest

from experimenter_mpi import exit_codes
from experimenter_mpi.experiment.share import Share
from experimenter_mpi.run.summary import RunSummary

AN_ID = uuid.uuid4()


def summary(**others):
    counts = {"skipped": 0, "finished": 10, "failed": 0, "remaining": 0}
    return RunSummary(
        AN_ID, "heat", trials=10, **{**counts, "duration": 1.25, **others}
    )


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({}, 0),
        ({"finished": 0, "skipped": 10}, 0),
        ({"failed": 1}, 1),
        ({"remaining": 2, "stopped": "SIGTERM"}, 75),
        ({"remaining": 2, "failed": 1, "stopped": "SIGTERM"}, 75),
    ],
)
def test_the_exit_code_says_what_to_do_next(counts, expected):
    """0: nothing; 1: look at the failures; 75: run again."""
    assert expected == summary(**counts).exit_code


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({}, "heat: 10 finished, 0 failed in 1.2 s"),
        (
            {"finished": 3, "failed": 2, "skipped": 5},
            "heat: 3 finished, 2 failed in 1.2 s; 5 finished before",
        ),
        (
            {"finished": 3, "remaining": 7, "stopped": "SIGTERM"},
            "heat: 3 finished, 0 failed in 1.2 s; 7 left; stopped by SIGTERM",
        ),
    ],
)
def test_it_reads_as_a_sentence(counts, expected):
    assert expected == str(summary(**counts))


@pytest.mark.parametrize("share", [None, Share(2, 8)])
def test_it_reaches_other_ranks_whole(share):
    made = summary(failed=1, stopped="SIGTERM", share=share)

    assert made == RunSummary.unpacked(made.packed())
    assert Share not in map(type, made.packed())  # a worker would import it


def test_the_exit_codes_are_the_documented_ones():
    """Job scripts compare them with numbers."""
    codes = {k: v for k, v in vars(exit_codes).items() if k.startswith("EXIT_")}

    assert {
        "EXIT_FINISHED": 0,
        "EXIT_FAILED_TRIALS": 1,
        "EXIT_USAGE": 2,
        "EXIT_WRONG": 3,
        "EXIT_STOPPED": 75,
    } == codes

"""Which task of a job array a process is, in the words of each scheduler."""

from __future__ import annotations

import pytest

from experimenter_mpi.cluster.job_arrays import place
from experimenter_mpi.errors import ConfigurationError


def slurm(index, least, most, step, count):
    return {
        "SLURM_ARRAY_TASK_ID": str(index),
        "SLURM_ARRAY_TASK_MIN": str(least),
        "SLURM_ARRAY_TASK_MAX": str(most),
        "SLURM_ARRAY_TASK_STEP": str(step),
        "SLURM_ARRAY_TASK_COUNT": str(count),
    }


def sge(index, first, last, step):
    return {
        "SGE_TASK_ID": str(index),
        "SGE_TASK_FIRST": str(first),
        "SGE_TASK_LAST": str(last),
        "SGE_TASK_STEPSIZE": str(step),
    }


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (slurm(0, 0, 3, 1, 4), (1, 4)),
        (slurm(3, 0, 3, 1, 4), (4, 4)),
        (slurm(9, 5, 13, 4, 3), (2, 3)),
        (slurm(8, 1, 8, 1, 8), (8, 8)),
        (sge(2, 1, 4, 1), (2, 4)),
        # Grid Engine's last index need not be one of the steps.
        (sge(6, 2, 7, 4), (2, 2)),
        ({"LSB_JOBINDEX": "3", "LSB_JOBINDEX_END": "8"}, (3, 8)),
    ],
)
def test_a_scheduler_that_says_how_many_tasks_there_are_is_enough(
    environment, expected
):
    assert expected == place(environment)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"PBS_ARRAY_INDEX": "0"}, 1),
        ({"FLUX_JOB_CC": "7"}, 8),
        ({"LSB_JOBINDEX": "1"}, 1),
        # Submitted again alone: still the same task.
        (slurm(3, 3, 3, 1, 1), 4),
        (sge(3, 3, 3, 1), 3),
        (slurm(5, 1, 7, 1, 3), 6),
    ],
)
def test_where_the_number_of_tasks_is_given_the_index_alone_counts(
    environment, expected
):
    assert (expected, 8) == place(environment, 8)


@pytest.mark.parametrize(
    ("environment", "asked"),
    [
        ({"PBS_ARRAY_INDEX": "3"}, "auto/N, where its indices are 0 to N-1"),
        ({"FLUX_JOB_CC": "3"}, "0 to N-1"),
        ({"LSB_JOBINDEX": "3"}, "1 to N"),
        # sbatch --array=1,5,7
        (slurm(5, 1, 7, 1, 3), "not regular .*: use auto/N"),
    ],
)
def test_where_nobody_says_how_many_tasks_there_are_the_user_must(environment, asked):
    with pytest.raises(ConfigurationError, match=asked):
        place(environment)


@pytest.mark.parametrize(
    "environment",
    [{}, {"SGE_TASK_ID": "undefined"}, {"LSB_JOBINDEX": "0"}, {"SLURM_JOB_ID": "3"}],
)
@pytest.mark.parametrize("count", [None, 8])
def test_outside_a_job_array_there_is_no_task(environment, count):
    with pytest.raises(ConfigurationError, match="not a task of a job array"):
        place(environment, count)


@pytest.mark.parametrize(
    ("environment", "indices"),
    [
        ({"PBS_ARRAY_INDEX": "8"}, "0 to 7"),
        (slurm(8, 1, 8, 1, 8), "0 to 7"),
        (sge(9, 1, 9, 1), "1 to 8"),
    ],
)
def test_a_task_beyond_those_that_were_named_is_refused(environment, indices):
    """An array from 1 to 8 where 0 to 7 was meant: its last task says so."""
    with pytest.raises(ConfigurationError, match=f"must be {indices}"):
        place(environment, 8)

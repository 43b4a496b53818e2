"""The file that names a database's jobs, which several submissions write at once."""

from __future__ import annotations

import subprocess
import sys

from experimenter_mpi.cluster import job_records
from experimenter_mpi.cluster.job_records import JobRecord

ONE = JobRecord("slurm", "17", "exp", "/x/hpc/logs/exp-17.out")
# Adds a hundred jobs as fast as it can.
WRITER = """
import sys
from experimenter_mpi.cluster import job_records
for n in range(100):
    record = job_records.JobRecord("sge", f"{sys.argv[2]}-{n}", "exp", "x" * 300)
    job_records.add(sys.argv[1], [record])
"""


def test_jobs_are_kept_in_the_order_of_their_submission(tmp_path):
    database = str(tmp_path / "new" / "x.db")
    assert [] == job_records.read(database)

    job_records.add(database, [ONE])
    job_records.add(database, [ONE._replace(job="18", after="17")])

    assert [("17", None), ("18", "17")] == [
        (record.job, record.after) for record in job_records.read(database)
    ]


def test_no_job_of_several_submissions_at_once_is_lost(tmp_path):
    database = str(tmp_path / "x.db")
    command = [sys.executable, "-c", WRITER, database]

    writers = [subprocess.Popen([*command, str(n)]) for n in range(4)]

    assert [0] * 4 == [writer.wait(timeout=120) for writer in writers]
    found = [record.job for record in job_records.read(database)]
    assert {f"{w}-{n}" for w in range(4) for n in range(100)} == set(found)
    assert 400 == len(found)


def test_a_line_that_was_cut_short_is_left_out_and_takes_no_other_with_it(tmp_path):
    database = str(tmp_path / "x.db")
    job_records.add(database, [ONE])
    with open(job_records.file_of(database), "a") as file:
        file.write('{"scheduler": "slurm", "jo')

    job_records.add(database, [ONE._replace(job="18")])

    assert ["17", "18"] == [record.job for record in job_records.read(database)]

"""How a job is submitted again with what it was submitted with."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from experimenter_mpi.cluster.successor import (
    CHAIN,
    again,
    environment_at_start,
    options_in,
    variables_in,
)


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        ("", []),
        ("exp.sh", []),
        ("-q long -A physics exp.sh", ["-q", "long", "-A", "physics"]),
        ("-qlong -l select=2:ncpus=4 -lwalltime=1 x.sh", "-q long -l select=2:ncpus=4"),
        ("-V -v A=1,B -a 2359 -h -z exp.sh", []),
        ("-Vq long exp.sh", ["-q", "long"]),
        ("-W depend=afterany:1 -W group_list=a -W block=true x", "-W group_list=a"),
        ("-v A=two words -q long exp.sh", ["-q", "long"]),
        ("-o my logs/ -q long exp.sh", ["-o", "my logs/", "-q", "long"]),
        ("-q long", ["-q", "long"]),
        ("-p -5 -m n exp.sh", ["-p", "-5", "-m", "n"]),
    ],
)
def test_the_options_of_a_qsub_are_kept_but_what_belongs_to_one_job(arguments, kept):
    if isinstance(kept, str):
        kept = kept.split()
        if "-lwalltime=1" in arguments:
            kept += ["-l", "walltime=1"]

    assert kept == options_in(arguments)


def test_variables_are_known_by_name_whatever_their_values_hold():
    listed = (
        "PBS_O_HOME=/home/me,PBS_O_PATH=/bin,A=1\\,B=2,EMPTY=,C=x y=z,"
        "BASH_FUNC_module%%=() { :; },TMPDIR=/tmp,C=again"
    )

    assert ["A", "EMPTY", "C"] == variables_in(listed)


def test_the_environment_that_a_process_was_started_with_is_known():
    code = "import os, sys; os.environ['A'] = 'changed'; print(); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "A": "one\ntwo, 'three'"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        process.stdout.readline()
        found = environment_at_start(process.pid)
        process.communicate(timeout=60)

    assert "one\ntwo, 'three'" == found["A"]


def test_a_flux_job_is_submitted_again_as_it_was_without_its_dependencies():
    system = {"queue": "long", "environment": {"A": "1"}, "dependencies": [{}]}
    was = {"version": 1, "resources": [1], "attributes": {"system": dict(system)}}

    next_one = again(was, "fABC")

    expected = {"queue": "long", "environment": {"A": "1", CHAIN: "fABC"}}
    assert expected == next_one["attributes"]["system"]
    assert [1] == next_one["resources"]

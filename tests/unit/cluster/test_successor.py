"""How a job is submitted again with what it was submitted with."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from experimenter_mpi.cluster import job_records
from experimenter_mpi.cluster.job_records import JobRecord
from experimenter_mpi.cluster.successor import (
    CHAIN,
    again,
    environment_at_start,
    main,
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
    code = (
        "import os, sys; os.environ['A'] = 'changed'; "
        "print(flush=True); sys.stdin.read()"
    )
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


FLUX = """#!/bin/sh
case "$*" in
*--original*) echo 'not JSON, as of versions before 0.53' ;;
*info*) echo '{"attributes": {"system": {"queue": "long"}}}' ;;
*submit*) cat >submitted.json; echo f8 ;;
*) exit 1 ;;
esac
"""


def test_an_older_flux_submits_again_what_it_can_tell_and_the_successor_is_noted(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "flux").write_text(FLUX)
    (tmp_path / "flux").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    given = {"FLUX_ENCLOSING_ID": "f7", CHAIN: "f6"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    job_records.add("x.db", [JobRecord("flux", "f7", "exp", "/logs/exp-f7.out", "f6")])

    assert 0 == main(["flux", ".", "exp.sh", "x.db"])

    assert "f8\n" == capsys.readouterr().out
    (system,) = json.loads((tmp_path / "submitted.json").read_text())[
        "attributes"
    ].values()
    assert {"queue": "long", "environment": {CHAIN: "f6"}} == system
    assert (
        JobRecord("flux", "f8", "exp", "/logs/exp-f8.out", "f7")
        == job_records.read("x.db")[1]
    )


def test_what_a_scheduler_says_against_it_is_said(tmp_path, monkeypatch, capsys):
    (tmp_path / "qstat").write_text("#!/bin/sh\necho cannot connect >&2; exit 1\n")
    (tmp_path / "qstat").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("PBS_JOBID", "7.x")
    monkeypatch.setenv(CHAIN, "exp-7.x")

    assert 1 == main(["pbs", ".", "exp.sh", "x.db"])
    assert "experimenter_mpi: cannot connect\n" == capsys.readouterr().err

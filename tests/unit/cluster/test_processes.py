"""Whether a process lives, and is the one that is meant."""

from __future__ import annotations

import os
import subprocess
import sys

from experimenter_mpi.cluster import processes


def test_a_process_lives_until_it_has_ended():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    since = processes.began(child.pid)
    alive = processes.lives(child.pid), processes.lives(child.pid, since)
    child.communicate()

    assert (True, True) == alive
    assert not processes.lives(child.pid)
    assert processes.began(child.pid) is None


def test_another_process_with_its_pid_is_not_it():
    since = processes.began(os.getpid())

    assert processes.lives(os.getpid(), since)
    assert not processes.lives(os.getpid(), since - 1)

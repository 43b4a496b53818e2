"""What git says of files: asked about them alone, and never waited for long."""

from __future__ import annotations

import os
import re

import pytest

from experimenter_mpi.run import git
from experimenter_mpi.run.git import CHANGED, CLEAN, UNTRACKED, Answer, Question
from support import processes
from support.repository import Repository


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    """A hook of git that runs the tests sets some, which name another repository."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "repository")


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """Put a git before the real one that is this shell script."""

    def make(script):
        path = tmp_path / "bin" / "git"
        path.parent.mkdir()
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", str(path.parent), prepend=os.pathsep)

    return make


def ask(repository, *names, **within):
    files = [str(repository.folder / name) for name in names]
    return Question(str(repository.folder), files).answer(**within)


STATES = {
    "clean.py": CLEAN,
    "changed.py": CHANGED,
    "staged.py": CHANGED,
    "added.py": CHANGED,
    "new.py": UNTRACKED,
    "ignored.py": UNTRACKED,
    "ignored/in it.py": UNTRACKED,
    "forced/exp.py": CLEAN,
    "folder/new.py": UNTRACKED,
    ":(glob)*.py": UNTRACKED,
    "é [a] *\n.py": CLEAN,
    "-n.py": UNTRACKED,
}


def test_each_files_state_is_told(repository):
    for name in STATES:
        repository.write(name, "a = 1\n")
    repository.write(".gitignore", "ignored*\nforced/\n")
    committed = ("clean.py", "changed.py", "staged.py", "forced/exp.py")
    commit = repository.commit(*committed, ":(literal)é [a] *\n.py")
    repository.write("changed.py", "a = 2\n")
    repository.write("staged.py", "a = 2\n")
    repository.git("add", "staged.py", "added.py")

    answer = ask(repository, *STATES)

    assert answer.commit == commit
    names = {os.path.relpath(p, repository.folder): s for p, s in answer.states.items()}
    assert names == STATES


def test_a_file_that_was_touched_and_not_changed_is_clean(repository):
    repository.write("exp.py", "a = 1\n")
    repository.commit("exp.py")
    os.utime(repository.folder / "exp.py", (1, 1))

    assert list(ask(repository, "exp.py").states.values()) == [CLEAN]


def test_other_files_are_not_looked_at(repository, monkeypatch, tmp_path):
    """In a repository of 50,000 files that would be the time of a run."""
    for number in range(50):
        repository.write(f"data/{number}.txt", str(number))
    repository.write("exp.py", "a = 1\n")
    repository.commit("data", "exp.py")
    trace = tmp_path / "trace"
    monkeypatch.setenv("GIT_TRACE2_PERF", str(trace))
    repository.write("data/3.txt", "changed")

    assert list(ask(repository, "exp.py").states.values()) == [CLEAN]
    found = re.findall(r"refresh/sum_lstat:(\d+)", trace.read_text())
    if not found:
        pytest.skip("this git does not count what it looks at")
    assert max(map(int, found)) < 10


def test_a_repository_without_a_commit_has_none(repository):
    repository.write("exp.py", "a = 1\n")

    assert ask(repository, "exp.py") == Answer(None, None)


def test_without_git_nothing_is_known(repository, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")

    assert ask(repository, "exp.py") == Answer(None, None)


def test_where_git_cannot_tell_it_is_not_said_to_be_clean(repository, fake):
    fake('[ "$3" = rev-parse ] && echo abc')

    assert ask(repository, "exp.py") == Answer("abc", None)


def test_more_names_than_a_command_takes_are_not_known(repository):
    commit = repository.commit()
    names = [f"{number:0200}.py" for number in range(100_000)]

    assert ask(repository, *names) == Answer(commit, None)


def test_a_git_that_hangs_is_given_up_with_all_it_started(
    repository, fake, monkeypatch
):
    """The home directory of a compute node may be a file system that is gone."""
    fake("sleep 60; exit 0")
    mark = f"test-git-{os.getpid()}"
    monkeypatch.setenv(processes.MARK, mark)

    assert ask(repository, "exp.py", seconds=0.2) == Answer(None, None)
    assert processes.gone(mark, 30)


def test_a_git_that_ends_its_output_and_stays_is_not_waited_for(repository, fake):
    fake("exec 1>&-; exec sleep 60")

    assert ask(repository, "exp.py", seconds=0.2) == Answer(None, None)


def test_asking_leaves_no_descriptor_and_no_process(repository):
    repository.write("exp.py", "a = 1\n")
    repository.commit("exp.py")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        ask(repository, "exp.py")

    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_question_that_is_abandoned_leaves_nothing_either(repository, fake):
    fake("sleep 60; exit 0")
    before = len(os.listdir("/proc/self/fd"))
    question = Question(str(repository.folder), [str(repository.folder / "exp.py")])
    question.abandon()

    assert question.answer() == Answer(None, None)
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_the_repository_of_a_folder_is_found_above_it(repository, tmp_path):
    inner = repository.folder / "a" / "b"
    inner.mkdir(parents=True)

    assert git.repository_of(str(inner)) == str(repository.folder)
    assert git.repository_of(str(tmp_path)) is None

"""How a run's code differs from the commit, as it was loaded."""

from __future__ import annotations

import subprocess

import pytest

from experimenter_mpi.run.diffs import LONGEST_DIFF, against_commit
from experimenter_mpi.run.git import CHANGED, CLEAN, UNTRACKED
from support.repository import Repository


@pytest.fixture
def repository(tmp_path):
    made = Repository(tmp_path / "repository")
    made.write("exp.py", "a = 1\nb = 2\n")
    made.write("other.py", "c = 3")
    made.commit("exp.py", "other.py")
    return made


def compared(repository, **files):
    """Compare the texts of files; each is the text, and its state in git."""
    paths = {f"{repository.folder}/{name}.py": each for name, each in files.items()}
    texts = {path: text for path, (text, _) in paths.items()}
    states = {path: state for path, (_, state) in paths.items()}
    return against_commit(str(repository.folder), texts, states)


def test_what_was_loaded_is_compared_whatever_the_file_says_by_now(repository):
    repository.write("exp.py", "edited after it was loaded\n")

    diff = compared(repository, exp=(b"a = 1\nb = 5\n", CHANGED))

    assert "--- a/exp.py\n+++ b/exp.py\n" in diff
    assert "-b = 2\n+b = 5\n" in diff
    assert "edited" not in diff


def test_the_diff_brings_the_files_of_the_commit_to_what_ran(repository):
    files = {
        "exp": (b"a = 2\nb = 2\nlast", CHANGED),
        "other": (b"c = 4\n", CHANGED),
        "new": (b"d = 1\n", UNTRACKED),
        "same": (b"e = 1\n", CLEAN),
    }
    diff = compared(repository, **files)

    subprocess.run(
        ["git", "apply", "-"], cwd=repository.folder, input=diff.encode(), check=True
    )
    ran = {name: text for name, (text, state) in files.items() if state != CLEAN}
    assert ran == {
        name: (repository.folder / f"{name}.py").read_bytes() for name in ran
    }
    assert not (repository.folder / "same.py").exists()


def test_a_long_diff_is_cut_and_says_so(repository):
    long = "".join(f"line {number}\n" for number in range(30_000)).encode()

    diff = compared(repository, exp=(long, CHANGED))

    assert diff.endswith("[the rest of the diff is left out]\n")
    assert LONGEST_DIFF < len(diff) + 100 < LONGEST_DIFF + 200


def test_what_cannot_be_compared_is_named(repository):
    huge = b"x = 1\n" * 200_000
    files = {"exp": (huge, CHANGED), "lost": (b"y = 1\n", CHANGED)}

    assert compared(repository, **files) == (
        "[exp.py has 1,200,000 bytes and is not compared]\n"
        "[git did not show lost.py as it is in the commit]\n"
    )


def test_any_bytes_can_be_kept(repository):
    diff = compared(repository, exp=(b"a = '\x00\xff'\n", CHANGED))

    assert "\0" not in diff
    diff.encode()

"""The tree of exceptions, which is drawn at the top of errors.py for people."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from experimenter_mpi import errors
from experimenter_mpi.errors import ExperimenterError, rebuilt

LINE = re.compile(r"^( *)[*x+] (\w+)(?: \((\w+)\))?(?:  +\S.*)?$")


def drawn_tree():
    """Read the docstring: the bases of each class, by name."""
    tree, above = {}, []
    for line in errors.__doc__.splitlines():
        found = LINE.match(line)
        if found:
            depth, name, second = len(found[1]) // 2, found[2], found[3]
            above = [*above[:depth], name]
            parent = above[depth - 1] if depth else "Exception"
            tree[name] = (parent, second) if second else (parent,)
    return tree


def defined():
    return [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, Exception) and kind.__module__ == errors.__name__
    ]


def all_errors():
    return [kind for kind in defined() if issubclass(kind, ExperimenterError)]


def test_the_drawn_tree_is_the_real_one():
    real = {
        kind.__name__: tuple(base.__name__ for base in kind.__bases__)
        for kind in all_errors()
    }

    assert real == drawn_tree()


def test_every_warning_is_named_below_the_tree():
    warnings = {k.__name__ for k in defined() if issubclass(k, Warning)}
    below = errors.__doc__.partition("Warnings: ")[2]

    assert warnings == set(re.findall(r"\w+Warning", below))


@pytest.mark.parametrize("kind", all_errors())
def test_an_error_crosses_ranks_by_its_name_and_text(kind):
    error = rebuilt(kind.__name__, "what to do next")

    assert type(error) is kind
    assert "what to do next" == str(error)


@pytest.mark.parametrize("name", ["ValueError", "rebuilt", "annotations", "os", ""])
def test_a_name_that_is_no_error_of_ours_becomes_the_base_of_all(name):
    error = rebuilt(name, "what happened")

    assert type(error) is ExperimenterError
    assert "what happened" == str(error)


def test_a_trial_error_says_where_it_happened():
    error = errors.TrialError("bad", traceback="lines", rank=3, hostname="node7")

    assert ("bad", "lines", 3, "node7") == (
        str(error),
        error.traceback,
        error.rank,
        error.hostname,
    )


@pytest.mark.parametrize("kind", all_errors())
def test_an_error_can_be_pickled(kind):
    """Pools of processes pass what a trial raises on as a pickle."""
    copy = pickle.loads(pickle.dumps(kind("what to do next")))

    assert (kind, ("what to do next",)) == (type(copy), copy.args)


@pytest.mark.parametrize("kind", all_errors())
def test_a_marked_error_is_still_the_error_that_it_was(kind):
    error = errors.marked(kind("what to do next"), errors.EndsRun)

    assert isinstance(error, kind) and isinstance(error, errors.EndsRun)
    assert not isinstance(error, errors.SaidByRank0)
    assert (kind.__name__, "what to do next") == (type(error).__name__, str(error))
    assert error is errors.marked(error, errors.EndsRun)
    assert type(rebuilt(type(error).__name__, str(error))) is kind

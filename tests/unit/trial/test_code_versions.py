"""Which runs were of other code, and the words that say so."""

from __future__ import annotations

import json

import pytest

from experimenter_mpi.run.provenance import Code
from experimenter_mpi.trial.code_versions import (
    Difference,
    Version,
    difference,
    notice,
    others,
)


def sources(**hashes):
    return {
        f"{name}.py": {"sha256": text, "git": None} for name, text in hashes.items()
    }


def version(commit=None, **hashes):
    return Version(commit, json.dumps(sources(**hashes)))


def code(commit=None, **hashes):
    return Code("exp.py", b"", sources(**hashes), commit, None, {})


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (version("c", exp="1"), code("c", exp="1"), None),
        (version("c", exp="1"), code("d", exp="1"), Difference("c", ())),
        (version("c", exp="1"), code("c", exp="2"), Difference(None, ("exp.py",))),
        (
            version(exp="1", b="1"),
            code("d", exp="1", b="2"),
            Difference(None, ("b.py",)),
        ),
        # What is not known of both is no difference.
        (version("c", exp="1"), code(exp="1"), None),
        (version(None, exp="1"), code("d", exp="1"), None),
        (version(None, exp="1", late="3"), code(None, exp="1", early="4"), None),
        (Version(None, None), code("d", exp="1"), None),
    ],
)
def test_code_differs_by_its_commit_or_by_a_file(before, now, expected):
    assert difference(before, now) == expected


@pytest.mark.parametrize(
    "stored",
    ["", "nonsense", "[1]", "3", '{"exp.py": 3}', '{"exp.py": {}}', "[" * 100_000],
)
def test_what_a_stranger_wrote_there_is_no_difference(stored):
    assert difference(Version(None, stored), code(None, exp="1")) is None


def said(counts, now, **versions):
    found = others(((int(n[1:]), v) for n, v in versions.items()), now)
    return notice("finished trial", found, counts, now)


NEW = code("b" * 40, exp="2", physics="1")
OLD = version("a" * 40, exp="1", physics="1")


@pytest.mark.parametrize(
    ("counts", "now", "versions", "expected"),
    [
        ({}, NEW, {"_1": OLD}, None),
        ({1: 3}, NEW, {"_1": version("b" * 40, exp="2")}, None),
        (
            {1: 3, 2: 4},
            NEW,
            {"_1": OLD, "_2": version("b" * 40, exp="2")},
            (
                (
                    "3 finished trials were made with another version of exp.py "
                    "(commit aaaaaaaa, now bbbbbbbb)"
                ),
                [1],
            ),
        ),
        (
            {1: 1},
            code(None, exp="2", physics="2"),
            {"_1": OLD},
            (
                (
                    "1 finished trial was made with another version of exp.py and "
                    "physics.py"
                ),
                [1],
            ),
        ),
        (
            {1: 1, 2: 1, 3: 2},
            code("b" * 40, exp="1", physics="1"),
            {"_1": OLD, "_2": version("c" * 40), "_3": version("a" * 40)},
            (
                (
                    "4 finished trials were made at commits aaaaaaaa and cccccccc, now "
                    "bbbbbbbb (with the same script)"
                ),
                [1, 2, 3],
            ),
        ),
        (
            {1: 1},
            code(None, **{f"m{n}": "2" for n in range(6)}),
            {"_1": version(None, **{f"m{n}": "1" for n in range(6)})},
            (
                (
                    "1 finished trial was made with another version of m0.py, m1.py, "
                    "m2.py and 3 more"
                ),
                [1],
            ),
        ),
    ],
)
def test_it_is_said_in_one_sentence(counts, now, versions, expected):
    assert said(counts, now, **versions) == expected


def with_packages(**packages):
    return code("c", exp="1")._replace(packages=packages)


@pytest.mark.parametrize(
    ("stored", "now", "expected"),
    [
        ('{"numpy": "1.26.4"}', {"numpy": "2.1.0"}, (("numpy", "1.26.4"),)),
        ('{"numpy": "2.1.0"}', {"numpy": "2.1.0"}, None),
        # Only what both used, and what is known of both.
        ('{"numpy": "2.1.0"}', {"scipy": "1.14"}, None),
        (None, {"numpy": "2.1.0"}, None),
        *((text, {"numpy": "2"}, None) for text in ("[1]", "?", '{"numpy": [1]}')),
    ],
)
def test_code_differs_by_the_version_of_a_package(stored, now, expected):
    before = version("c", exp="1")._replace(packages=stored)

    found = difference(before, with_packages(**now))

    assert expected == (found and found.packages)


def test_the_versions_of_packages_are_named():
    before = version("c", exp="1")._replace(packages='{"numpy": "1.26.4"}')
    now = with_packages(numpy="2.1.0")

    text, runs = notice("finished trial", others([(1, before)], now), {1: 2}, now)

    assert "2 finished trials were made with numpy 1.26.4, now 2.1.0" == text
    assert [1] == runs

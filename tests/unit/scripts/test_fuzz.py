"""A little of what ``scripts/fuzz`` does for hours: only errors of ours come out."""

from __future__ import annotations

import os

import pytest

from support import fuzz

# Where writing waits for no disk.
MEMORY = "/dev/shm"  # noqa: S108


@pytest.mark.parametrize(("kind", "count"), [("documents", 1500), ("databases", 10)])
def test_what_was_tampered_with_is_read_or_refused(kind, count, monkeypatch):
    if os.path.isdir(MEMORY):
        monkeypatch.setenv("TMPDIR", MEMORY)

    assert [] == fuzz.search(kind, 1_000_000, count)


@pytest.mark.parametrize(
    ("act", "said"),
    [
        ("raise ZeroDivisionError", "ZeroDivisionError"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended with -11"),
        ("import time; time.sleep(60)", "Timeout"),
        ("b'x' * (40 << 20)", "bytes of memory"),
    ],
)
def test_whatever_else_comes_out_is_found(monkeypatch, act, said):
    """And the inputs after it are tried as well."""
    script = (
        "import sys; from support import fuzz\n"
        "fuzz.SECONDS, fuzz.MAX_BYTES = 2, 20 << 20\n"
        "class Broken:\n"
        "    def __init__(self, folder): pass\n"
        "    def __call__(self, numbers):\n"
        f"        {act}\n"
        "fuzz.Documents = Broken\n"
        "fuzz._try_all('documents', int(sys.argv[-2]), int(sys.argv[-1]))\n"
    )
    monkeypatch.setattr(fuzz, "COMMAND", ["-c", script])

    findings = fuzz.search("documents", 5, 2)

    assert 5 == findings[0].number
    assert said in findings[0].what

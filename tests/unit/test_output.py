"""Lines that are printed while another process draws a bar on the same terminal."""

from __future__ import annotations

import io
import sys

import pytest

from experimenter_mpi import output


def standard_output(monkeypatch):
    """Make standard output a stream of Python's own, which keeps what it is given."""
    made = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", made)
    monkeypatch.setattr(sys, "__stdout__", made)
    return made


def written(stream):
    return stream.buffer.getvalue().decode()


def test_each_line_erases_what_it_finds_and_its_parts_do_not(monkeypatch):
    stream = standard_output(monkeypatch)
    with output.above_bar(["stdout"]):
        print("a", 1)
        print("half", end="")
        print(" and half")
        assert 3 == stream.write("xyz")
        assert 0 == stream.write("")

    erase = "\x1b[G\x1b[K"
    assert f"{erase}a 1\n{erase}half and half\n{erase}xyz" == written(stream)


def test_a_line_is_written_at_once(monkeypatch):
    """Ranks write to one terminal: between two pieces others' lines would come."""
    stream = standard_output(monkeypatch)
    with output.above_bar(["stdout"]):
        print("in", "pieces", end="")
        assert "" == written(stream)


def test_a_stream_is_afterwards_as_it_was(monkeypatch):
    stream = standard_output(monkeypatch)
    with output.above_bar(["stdout"]):
        assert stream.line_buffering
    print("plain")
    stream.flush()

    assert not stream.line_buffering
    assert "plain\n" == written(stream)


def test_what_is_no_text_is_refused_as_ever(monkeypatch):
    stream = standard_output(monkeypatch)
    with output.above_bar(["stdout"]), pytest.raises(TypeError):
        stream.write(b"bytes")


def test_other_streams_are_left_alone(monkeypatch):
    """A notebook's, a test's, none at all, and one with a write of its own."""
    mine = io.TextIOWrapper(io.BytesIO())
    mine.write = said = [].append
    for each in (io.StringIO(), None, mine):
        monkeypatch.setattr(sys, "stdout", each)
        monkeypatch.setattr(sys, "__stdout__", each)
        with output.above_bar(["stdout", "stderr"]):
            print("x")
    assert mine.write is said


def test_a_closed_stream_fails_nothing(monkeypatch):
    stream = standard_output(monkeypatch)
    stream.close()
    with output.above_bar(["stdout"]):
        pass

"""The single writer: refused while the owner lives, taken over when it is dead."""

from __future__ import annotations

import json
import os
import socket
import threading

import pytest

from experimenter_mpi import DatabaseLockedError, open_db
from experimenter_mpi.database.file import lock, owner
from experimenter_mpi.database.file.lock import WriterLock
from experimenter_mpi.database.file.owner import Owner, this_process
from experimenter_mpi.database.handle import session_of
from unit.database.making import HOLDER, heat


@pytest.fixture
def lock_path(tmp_path):
    return tmp_path / "heat.db.lock"


def described(lock_path, **changes):
    """Write a lock file as some other process would have."""
    stored = json.loads(this_process().text())
    lock_path.write_text(json.dumps({**stored, **changes}))
    return stored["token"]


def make_old(path, seconds=1000.0):
    now = path.stat().st_mtime
    os.utime(path, (now - seconds, now - seconds))


def test_the_lock_file_names_its_owner_and_goes_away(db, lock_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    with session_of(db).storage.writing():
        stored = json.loads(lock_path.read_text())
        assert stored["token"] == session_of(db).storage.lock_token

    assert (stored["host"], stored["pid"]) == (socket.gethostname(), os.getpid())
    assert stored["job_id"] == "4711" and stored["pid_start"] > 0
    assert not lock_path.exists()
    assert session_of(db).storage.lock_token is None


def test_writing_may_be_nested(db, lock_path):
    with session_of(db).storage.writing(), session_of(db).storage.writing():
        session_of(db).experiments.enrol(heat())
        assert lock_path.exists()
    db.delete_experiment(db.get_experiments()[0].id)

    assert not lock_path.exists()


def test_an_error_inside_gives_the_lock_back(db, lock_path):
    with pytest.raises(ZeroDivisionError), session_of(db).storage.writing():
        raise ZeroDivisionError

    assert not lock_path.exists()


def test_a_second_writer_is_refused_with_who_where_and_what_to_do(
    open_here, child, tmp_path, monkeypatch
):
    job = {"JOB_ID": "9", "SGE_TASK_ID": "undefined"}
    holder = child(HOLDER, str(tmp_path / "heat.db"), env={**os.environ, **job})
    assert holder.line() == "holding"
    db = open_here()
    with pytest.raises(DatabaseLockedError) as caught:
        session_of(db).experiments.enrol(heat())

    text = str(caught.value)
    where = f"process {holder.process.pid} on {socket.gethostname()}, job 9, since 20"
    assert f"heat.db is being written by {where}" in text
    assert "use another database (--db)" in text and "\n" not in text


def test_a_refused_writer_succeeds_once_the_other_is_done(open_here, child, tmp_path):
    holder = child(HOLDER, str(tmp_path / "heat.db"))
    assert holder.line() == "holding"
    db = open_here()
    assert db.get_experiments() == []
    holder.say("go")
    assert holder.end() == 0
    session_of(db).experiments.enrol(heat())

    assert len(db.get_experiments()) == 1
    assert session_of(db).storage.notices == []


def test_a_short_change_of_another_is_waited_for(
    open_here, child, tmp_path, monkeypatch
):
    monkeypatch.setattr(lock, "PATIENCE_SECONDS", 30.0)
    holder = child(HOLDER, str(tmp_path / "heat.db"))
    assert holder.line() == "holding"
    db = open_here()
    threading.Timer(0.1, holder.say, ["go"]).start()
    session_of(db).experiments.enrol(heat())

    assert len(db.get_experiments()) == 1


def test_two_handles_of_one_process_exclude_each_other(open_here):
    first, second = open_here(), open_here()
    with session_of(first).storage.writing(), pytest.raises(DatabaseLockedError):
        session_of(second).experiments.enrol(heat())
    session_of(second).experiments.enrol(heat())

    assert len(first.get_experiments()) == 1


def test_the_lock_of_a_killed_process_is_taken_over_and_said_so(
    open_here, child, tmp_path, lock_path
):
    holder = child(HOLDER, str(tmp_path / "heat.db"))
    assert holder.line() == "holding"
    holder.kill()
    assert lock_path.exists()
    db = open_here()
    with session_of(db).storage.writing():
        session_of(db).experiments.enrol(heat())

    assert len(session_of(db).storage.notices) == 1
    assert (
        f"took over the lock on {tmp_path}/heat.db of process"
        in session_of(db).storage.notices[0]
    )
    assert os.listdir(tmp_path) == ["heat.db"]


def test_a_killed_process_that_nobody_has_buried_is_dead(open_here, child, tmp_path):
    """An mpiexec waits for all its ranks before it asks how one of them ended."""
    holder = child(HOLDER, str(tmp_path / "heat.db"))
    assert holder.line() == "holding"
    holder.process.send_signal(9)
    os.waitid(os.P_PID, holder.process.pid, os.WEXITED | os.WNOWAIT)
    db = open_here()
    session_of(db).experiments.enrol(heat())

    assert len(session_of(db).storage.notices) == 1


def test_a_pid_that_was_given_again_is_another_process(db, lock_path):
    described(lock_path, pid_start=1)
    session_of(db).experiments.enrol(heat())

    assert len(session_of(db).storage.notices) == 1


@pytest.mark.parametrize("changes", [{"host": "node17"}, {"space": "another boot"}])
def test_elsewhere_only_silence_shows_that_an_owner_is_dead(db, lock_path, changes):
    """No host sees another's processes; a container has pids of its own."""
    described(lock_path, pid=1 << 22, **changes)
    with pytest.raises(DatabaseLockedError):
        session_of(db).experiments.enrol(heat())
    make_old(lock_path, 100)
    with pytest.raises(DatabaseLockedError):
        session_of(db).experiments.enrol(heat())
    make_old(lock_path, 30)
    session_of(db).experiments.enrol(heat())

    assert len(session_of(db).storage.notices) == 1


def test_a_run_waits_until_silence_has_shown_it(db, lock_path, monkeypatch):
    """The next job of a chain may begin elsewhere the moment its first is killed."""
    monkeypatch.setattr(owner, "DEAD_AFTER_SECONDS", 0.2)
    described(lock_path, host="node17")
    make_old(lock_path, -3600)  # that host's clock, or the file server's, was wrong
    with session_of(db).storage.writing():
        session_of(db).experiments.enrol(heat())

    waited, taken = session_of(db).storage.notices
    assert (
        "process" in waited
        and "on node17" in waited
        and "waiting at most 120 s" in waited
    )
    assert "took over the lock" in taken


def test_a_run_is_refused_once_its_owner_elsewhere_has_shown_that_it_lives(
    db, lock_path
):
    described(lock_path, host="node17")
    beats = threading.Timer(0.2, make_old, [lock_path, 1.0])
    beats.start()
    with pytest.raises(DatabaseLockedError, match=r"on node17.*if it has died"):
        session_of(db).storage.writing().__enter__()
    beats.join()

    assert [
        "waiting at most 120 s" in each for each in session_of(db).storage.notices
    ] == [True]
    lock_path.unlink()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"token": "x"}', "\x00\xff"])
def test_a_lock_that_says_nothing_is_respected_while_it_is_young(
    db, lock_path, tmp_path, text
):
    """Its creator may be about to write it, or have died in the middle of it."""
    lock_path.write_text(text)
    with pytest.raises(DatabaseLockedError, match="an unknown process"):
        session_of(db).experiments.enrol(heat())
    make_old(lock_path)
    session_of(db).experiments.enrol(heat())

    assert os.listdir(tmp_path) == ["heat.db"]


def test_a_heartbeat_touches_the_lock(db, lock_path, monkeypatch):
    touched = threading.Event()
    real = os.utime

    def utime(path, *rest):
        real(path, *rest)
        touched.set()

    monkeypatch.setattr(lock, "HEARTBEAT_SECONDS", 0.001)
    monkeypatch.setattr(os, "utime", utime)
    with session_of(db).storage.writing():
        assert touched.wait(120)


def test_who_stood_still_and_was_taken_over_writes_nothing_more(db, lock_path):
    with session_of(db).storage.writing():
        session_of(db).experiments.enrol(heat())
        token = described(lock_path)
        with pytest.raises(DatabaseLockedError, match="was taken over"):
            session_of(db).experiments.enrol(heat("other"))

    assert [each.name for each in db.get_experiments()] == ["heat"]
    assert json.loads(lock_path.read_text())["token"] == token
    lock_path.unlink()


def test_who_finds_its_lock_gone_writes_nothing_more(db, lock_path):
    with session_of(db).storage.writing():
        lock_path.unlink()
        with pytest.raises(
            DatabaseLockedError, match="lock no longer exists: it or its folder"
        ):
            session_of(db).experiments.enrol(heat())


TAKER = """
import sys
from experimenter_mpi import DatabaseLockedError, open_db
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.database.file import lock
lock.PATIENCE_SECONDS = 0.0
db = open_db(sys.argv[1], "")
print("ready", flush=True)
sys.stdin.readline()
try:
    with session_of(db).storage.writing():
        print("won", flush=True)
        sys.stdin.readline()
except DatabaseLockedError:
    print("lost", flush=True)
"""


def test_of_several_who_take_a_dead_lock_over_only_one_wins(
    db, child, tmp_path, lock_path
):
    takers = [child(TAKER, str(tmp_path / "heat.db")) for _ in range(4)]
    assert [taker.line() for taker in takers] == ["ready"] * 4
    described(lock_path, pid_start=1)
    for taker in takers:
        taker.say("go")
    said = sorted(taker.line() for taker in takers)

    assert said == ["lost", "lost", "lost", "won"]


def test_threads_that_take_over_a_dead_lock_never_both_win(tmp_path, lock_path):
    for _ in range(20):
        described(lock_path, pid_start=1)
        winners, start = [], threading.Barrier(4)

        def take(winners=winners, start=start):
            one = WriterLock(str(tmp_path / "heat.db"), print)
            start.wait()
            try:
                one.acquire()
            except DatabaseLockedError:
                return
            winners.append(one)

        threads = [threading.Thread(target=take) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(winners) == 1
        winners[0].release()
        assert os.listdir(tmp_path) == []


def test_a_taker_that_died_half_way_is_taken_over_in_its_turn(db, tmp_path, lock_path):
    dead = described(lock_path, pid_start=1)
    described(tmp_path / f"heat.db.lock.{dead}", pid_start=2)
    session_of(db).experiments.enrol(heat())

    assert os.listdir(tmp_path) == ["heat.db"]


def test_a_taker_that_is_about_to_win_is_respected(db, tmp_path, lock_path):
    dead = described(lock_path, pid_start=1)
    described(tmp_path / f"heat.db.lock.{dead}")
    with pytest.raises(DatabaseLockedError, match=f"process {os.getpid()}"):
        session_of(db).experiments.enrol(heat())


def test_one_who_judged_too_slowly_lets_the_new_owner_be(tmp_path, lock_path):
    """It saw the dead lock; by the time it claims it, another has replaced it."""
    dead = Owner("0" * 32, socket.gethostname(), 1, 1)
    slow = WriterLock(str(tmp_path / "heat.db"), print)
    token = described(lock_path)

    assert slow._take_over(dead).token == token
    assert os.listdir(tmp_path) == ["heat.db.lock"]


def test_the_age_is_told_by_the_file_systems_clock(tmp_path, lock_path):
    lock_path.touch()
    make_old(lock_path, 50)

    assert 50 <= owner.age_of(str(lock_path), "token") < 60
    assert os.listdir(tmp_path) == ["heat.db.lock"]


def test_readers_see_whether_a_run_may_be_on(open_here, child, tmp_path):
    db = open_here()
    session_of(db).experiments.enrol(heat())
    holder = child(HOLDER, str(tmp_path / "heat.db"))
    assert holder.line() == "holding"
    reader = open_here(read_only=True)
    assert session_of(reader).reports.overview_of("heat")["is_locked"]
    holder.kill()

    assert not session_of(reader).reports.overview_of("heat")["is_locked"]


def test_threads_share_one_handle(db):
    experiment = heat()
    session_of(db).experiments.enrol(experiment)
    errors = []

    def work(index):
        try:
            for _ in range(5):
                db.save_snapshot(experiment.trial_ids[index], {"index": index})
                assert db.latest_snapshot(experiment.trial_ids[index]).state == {
                    "index": index
                }
        except BaseException as error:  # noqa: BLE001 - told to the main thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []


def test_opening_waits_for_one_who_is_just_creating(tmp_path, monkeypatch):
    """The tasks of a job array all open the same new database in one second."""
    monkeypatch.setattr(lock, "PATIENCE_SECONDS", 30.0)
    opened, start = [], threading.Barrier(4)

    def open_one():
        start.wait()
        opened.append(open_db("heat.db", tmp_path))

    threads = [threading.Thread(target=open_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [db.get_experiments() for db in opened] == [[]] * 4
    for db in opened:
        db.close()


# Tries to write each time it is told to, and goes on when it is told again.
PLAYER = """
import sys
from experimenter_mpi import DatabaseLockedError, open_db
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.database.file import lock
lock.PATIENCE_SECONDS = 0.0
db = open_db(sys.argv[1], "")
print("ready", flush=True)
while sys.stdin.readline():
    try:
        with session_of(db).storage.writing():
            print("won", flush=True)
            sys.stdin.readline()
    except DatabaseLockedError:
        print("lost", flush=True)
        sys.stdin.readline()
    print("done", flush=True)
"""


def test_of_processes_that_begin_in_the_same_instant_one_writes(db, child, tmp_path):
    """Many rounds: a race is lost now and then only."""
    players = [child(PLAYER, str(tmp_path / "heat.db")) for _ in range(3)]
    assert [player.line() for player in players] == ["ready"] * 3
    for _ in range(40):
        for player in players:
            player.say("go")
        assert sorted(player.line() for player in players) == ["lost", "lost", "won"]
        for player in players:
            player.say("end")
        assert [player.line() for player in players] == ["done"] * 3


def test_who_was_taken_over_keeps_no_one_elses_lock_alive(db, lock_path, monkeypatch):
    looked = threading.Event()
    real = lock.read_owner

    def read_owner(path):
        found = real(path)
        if threading.current_thread().name == "experimenter_mpi lock":
            looked.set()
        return found

    monkeypatch.setattr(lock, "HEARTBEAT_SECONDS", 0.001)
    monkeypatch.setattr(lock, "read_owner", read_owner)
    with session_of(db).storage.writing():
        described(lock_path)
        for _ in range(2):  # what it saw before is acted on by now
            looked.clear()
            assert looked.wait(120)
        make_old(lock_path)
        old = lock_path.stat().st_mtime
        for _ in range(3):
            looked.clear()
            assert looked.wait(120)
        assert old == lock_path.stat().st_mtime
    lock_path.unlink()
